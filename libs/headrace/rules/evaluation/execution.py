"""Runs components on one archive like insights.core.dr, but without formatting unused tracebacks."""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from insights.core import dr, plugins
from insights.core.context import SerializedArchiveContext
from insights.core.exceptions import BlacklistedSpec, MissingRequirements, SkipComponent

from headrace.rules.evaluation.factories import READERS, Read
from headrace.rules.evaluation.loading import run_order
from headrace.rules.evaluation.providers import Place

# The rules of a medium cluster's archive create some 100,000 objects, and nearly all are freed with the archive. The
# rest, reference cycles, is collected between archives, or earlier if there are this many.
_COLLECTED_AT = (100_000, 20, 100)
_LEFT_BEHIND = 10_000


@dataclass(frozen=True, slots=True)
class _Step:
    component: Any
    delegate: Any
    is_rule: bool
    read: Read | None
    """Replaces the reading of a spec's files from disk; None for other components."""
    checked_here: bool
    """Whether the plan checks the dependencies; False for component types that override ``process``."""
    requires: tuple[Any, ...]
    at_least_one: tuple[tuple[Any, ...], ...]
    ignored_with: frozenset[Any]

    def may_run(self, instances: Mapping[Any, Any]) -> bool:
        """Return whether its dependencies are available and no component that excludes it is."""
        return (
            all(required in instances for required in self.requires)
            and all(any(one in instances for one in some) for some in self.at_least_one)
            and self.ignored_with.isdisjoint(instances)
        )


class Plan:
    """The components of a graph in their order, prepared once for all archives."""

    def __init__(self, graph: Mapping[Any, set[Any]]) -> None:
        self.graph = graph
        self._steps = [
            _step(component)
            for component in run_order(graph)
            if component in dr.DELEGATES and dr.is_enabled(component)
        ]

    def run(self, broker: dr.Broker, place: Place | None, handle_rule: Callable[[Any, Any], None]) -> None:
        """Run the components whose dependencies are available; the broker contains results and exceptions afterwards.

        Args:
            broker: contains the context and other values that are known in advance.
            place: the files, if they are in memory.
            handle_rule: called with each rule that responds, and its response.
        """
        instances = broker.instances
        watched = bool(dr.TYPE_OBSERVERS)
        left_out = self._already_known(broker)
        for step in self._steps:
            component = step.component
            if component not in instances and component not in left_out:
                _run(step, broker, place)
            if watched:
                broker.fire_observers(component)
            if step.is_rule and component in instances:
                handle_rule(component, instances[component])

    def _already_known(self, broker: dr.Broker) -> frozenset[Any]:
        """Return the dependencies of results that the archive itself contains; they need not run."""
        if SerializedArchiveContext not in broker:
            return frozenset()
        known = (self.graph[component] for component in self.graph if component in broker)
        return frozenset().union(*known)


@contextmanager
def short_tracebacks() -> Iterator[None]:
    """Make ``traceback.format_exc`` return only the exception: insights-core calls it for each missing file."""
    before = getattr(sys, "tracebacklimit", None)
    sys.tracebacklimit = 0
    try:
        yield
    finally:
        if before is None:
            del sys.tracebacklimit
        else:
            sys.tracebacklimit = before


@contextmanager
def rare_collections() -> Iterator[None]:
    """Limit how often the garbage collector scans an archive's objects."""
    before = gc.get_threshold()
    gc.set_threshold(*_COLLECTED_AT)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if gc.get_count()[0] > _LEFT_BEHIND:
            gc.collect()


def _step(component: Any) -> _Step:
    delegate = dr.DELEGATES[component]
    return _Step(
        component=component,
        delegate=delegate,
        is_rule=plugins.is_rule(component),
        read=READERS.get(type(component)) if type(delegate) is plugins.datasource else None,
        checked_here=type(delegate).process is dr.ComponentType.process
        and type(delegate).get_missing_dependencies is dr.ComponentType.get_missing_dependencies,
        requires=tuple(delegate.requires),
        at_least_one=tuple(tuple(some) for some in delegate.at_least_one),
        ignored_with=frozenset(dr.IGNORE.get(component, ())),
    )


def _run(step: _Step, broker: dr.Broker, place: Place | None) -> None:
    try:
        if not step.checked_here:
            broker[step.component] = step.delegate.process(broker)
        elif step.may_run(broker.instances):
            if place is not None and step.read is not None:
                broker[step.component] = step.read(step.component, broker, place)
            else:
                broker[step.component] = step.delegate.invoke(broker)
    except (SkipComponent, MissingRequirements, BlacklistedSpec):
        pass
    except Exception as error:  # noqa: BLE001  # a component's failure is its own
        broker.exceptions[step.component].append(error)
