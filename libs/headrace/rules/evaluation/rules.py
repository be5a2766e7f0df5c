"""The rules that are loaded once, and their evaluation of archives."""

import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

from insights.core import archives, dr, hydration, serde
from insights.core.context import ExecutionContext, SerializedArchiveContext
from insights.core.exceptions import SkipComponent

from headrace.archives import ArchiveLimits, ArchiveRejected
from headrace.archives.errors import shown
from headrace.rules.evaluation import rehearsal
from headrace.rules.evaluation.disk import extracted
from headrace.rules.evaluation.execution import Plan, rare_collections, short_tracebacks
from headrace.rules.evaluation.facts import facts_of
from headrace.rules.evaluation.hydration import hydrate
from headrace.rules.evaluation.loading import (
    RulesConfig,
    configure,
    load_packages,
    target_graph,
)
from headrace.rules.evaluation.memory import keep_freed_memory
from headrace.rules.evaluation.providers import Place
from headrace.rules.evaluation.report import Report
from headrace.rules.evaluation.tree import Tree
from headrace.rules.evaluation.unpacking import unpack
from headrace.rules.evaluation.virtual import (
    ROOT,
    NeedsDisk,
    virtual_context,
    was_needed,
    watch_paths,
)
from headrace.rules.excerpts import UnnamedKey, checking
from headrace.runtime.errors import ConfigurationError, Retryable

DEFAULT_LIMITS: Final = ArchiveLimits(host_tree=True)
_SHOWN_CHARACTERS = 500


@dataclass(frozen=True)
class Evaluation:
    """The outcome of all rules for one archive: plain data that can be pickled."""

    report: dict[str, Any]
    """The JSON report: ``reports``, ``fingerprints``, ``system`` and so on, metadata keys at the top level."""
    cluster_id: str | None
    hypershift: bool
    workload_info: bytes | None
    """The unparsed content of config/workload_info.json."""
    remote_configuration_version: str | None
    exceptions: tuple[tuple[str, str], ...]
    """The components that failed and the responses that could not be reported, each with the reason."""
    skips: tuple[tuple[str, str], ...]
    """The rules that could not run, each with its missing dependencies."""
    context: str | None
    """The class name of the kind of archive."""
    empty_because: str | None
    """The reason why no component that needs the archive could run; None if they could."""
    on_disk: str | None
    """What needed real files; None if the evaluation stayed in memory."""
    seconds: float


class Rules:
    """The loaded rules. Loading changes the whole process, so two configurations need two processes."""

    def __init__(self, plan: Plan, extract_directory: str | None) -> None:
        self._plan = plan
        self._extract_directory = extract_directory
        self._filters: dict[Any, dict[str, int]] = {}
        self._by_name: dict[str, Any] = {}
        for component in dr.DELEGATES:
            self._by_name.setdefault(dr.get_name(component), component)

    @classmethod
    def load(cls, config: RulesConfig) -> Self:
        """Import the packages, apply the configuration and determine what runs.

        Raises:
            ConfigurationError: a module cannot be imported, the targets match nothing, or a rule reads a key that a
            parser's ``EXCERPT`` does not name.
        """
        load_packages(config.packages)
        configure(config)
        watch_paths()
        keep_freed_memory()
        rules = cls(Plan(target_graph(config.target_components)), config.extract_directory)
        rules._rehearse()
        return rules

    def _rehearse(self) -> None:
        for archive in rehearsal.archives(self._plan.graph):
            # Other failures on these artificial archives say nothing about real ones.
            with suppress(ArchiveRejected, Retryable, SystemExit):
                self.evaluate(archive, checked=True)

    def evaluate(
        self,
        archive: bytes,
        *,
        limits: ArchiveLimits = DEFAULT_LIMITS,
        seeds: Mapping[str, Any] = MappingProxyType({}),
        checked: bool = False,
    ) -> Evaluation:
        """Run the rules on an archive, synchronously and CPU-bound.

        Args:
            archive: a tar, plain or compressed with gzip, bzip2 or xz.
            limits: the limits of the archive.
            seeds: values that the broker contains in advance, by name.
            checked: whether to detect reads of keys that a parser's ``EXCERPT`` does not name; slower.

        Raises:
            ArchiveRejected: the archive is not acceptable.
            ConfigurationError: checked, and a rule does so; the text names rule, key, parser and the existing keys.
        """
        began = time.perf_counter()
        tree = unpack(archive, limits)
        was_needed()
        with short_tracebacks(), rare_collections(), checking() if checked else nullcontext() as unnamed:
            try:
                run = _Run(self._plan, tree, seeds)
                finished = run.in_memory(self._by_name, self._filters)
                needed = "a component" if was_needed() else None
            except NeedsDisk as error:
                needed = str(error)
            if needed is not None:
                finished = self._on_disk(tree, seeds)
                was_needed()
        if unnamed:
            raise ConfigurationError(f"a rule or parser reads {unnamed[0]}")
        facts = facts_of(tree)
        return Evaluation(**vars(facts), **finished, on_disk=needed, seconds=time.perf_counter() - began)

    def _on_disk(self, tree: Tree, seeds: Mapping[str, Any]) -> dict[str, Any]:
        with extracted(tree, self._extract_directory) as root:
            return _Run(self._plan, tree, seeds, root).on_disk()


class _Run:
    """One evaluation, in memory or on disk."""

    def __init__(self, plan: Plan, tree: Tree, seeds: Mapping[str, Any], root: str = ROOT) -> None:
        self._plan = plan
        self._tree = tree
        self._root = root
        self._paths = [f"{root}/{path}" for path in tree.files]
        self._broker = dr.Broker()
        self._failures: list[tuple[str, str]] = []
        for name, value in seeds.items():
            self._broker[name] = value

    def in_memory(self, by_name: Mapping[str, Any], filters: dict[Any, dict[str, int]]) -> dict[str, Any]:
        kind, base = self._identified()
        if kind is None:
            return self._finished(None, None)
        context = virtual_context(kind)(f"{self._root}{base}", all_files=self._paths)
        place = Place(self._tree, base.lstrip("/"), context, filters)
        self._broker[kind] = context
        if issubclass(kind, SerializedArchiveContext):
            hydrate(self._broker, place, by_name)
        return self._finished(kind, place)

    def on_disk(self) -> dict[str, Any]:
        kind, base = self._identified()
        if kind is None:
            return self._finished(None, None)
        context = kind(f"{self._root}{base}", all_files=self._paths)
        self._broker[kind] = context
        if issubclass(kind, SerializedArchiveContext):
            serde.Hydration(root=context.root, ctx=context).hydrate(broker=self._broker)
        return self._finished(kind, None)

    def _identified(self) -> tuple[type[ExecutionContext] | None, str]:
        """Return the kind of archive, None if it is unknown, and the path of its root in the tree."""
        if _packed_again(self._tree):
            return None, ""
        path, kind = hydration.identify(self._paths)
        return kind, path.removeprefix(self._root).rstrip("/")

    def _finished(self, kind: type[ExecutionContext] | None, place: Place | None) -> dict[str, Any]:
        report = Report(self._broker, kind, lambda component, why: self._failures.append((component, why)))
        try:
            self._plan.run(self._broker, place, report.handle_rule)
            self._refuse_unnamed_keys()
            return {
                "report": report.finished(),
                "exceptions": (*self._exceptions(), *self._failures),
                "skips": tuple(sorted(report.skips())),
                "context": None if kind is None else dr.get_name(kind),
                "empty_because": None if kind else _packed_again(self._tree),
            }
        finally:
            self._let_go()

    def _refuse_unnamed_keys(self) -> None:
        for component, errors in self._broker.exceptions.items():
            for error in errors:
                if isinstance(error, UnnamedKey):
                    raise ConfigurationError(f"{dr.get_name(component)} reads {error}")

    def _exceptions(self) -> list[tuple[str, str]]:
        return sorted(
            (dr.get_name(component), _described(error))
            for component, errors in self._broker.exceptions.items()
            for error in errors
            if not isinstance(error, SkipComponent)
        )

    def _let_go(self) -> None:
        """Break the reference cycles of exceptions, frames and broker, so that nothing waits for the collector."""
        broker = self._broker
        for errors in broker.exceptions.values():
            for error in errors:
                error.__traceback__ = error.__context__ = error.__cause__ = None
        for contents in (broker.instances, broker.exceptions, broker.tracebacks, broker.missing_requirements):
            contents.clear()


def _packed_again(tree: Tree) -> str | None:
    """Return why insights-core treats the archive as an archive of archives and runs nothing on it; None otherwise."""
    for name in tree.list_directory("") or ():
        if name.endswith(archives.COMPRESSION_TYPES) and tree.read(name) is not None:
            return (
                f"it contains {shown(name)} at its top level, so insights-core treats it as an archive of "
                "archives"
            )
    return None


def _described(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"[:_SHOWN_CHARACTERS]
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return text if at is None else f"{text} ({at.tb_frame.f_code.co_filename}:{at.tb_lineno})"
