"""Loads rules: their packages, their configuration, and the components that an evaluation has to run."""

import importlib
import logging
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import insights
from insights.combiners.hostname import Hostname
from insights.core import dr, plugins

from headrace.runtime.errors import ConfigurationError

_LOG = logging.getLogger(__name__)
_EXTRA_PACKAGES = "EXTRA_PACKAGES"
_NOT_LOADED = re.compile(r"\.tests")


@dataclass(frozen=True)
class RulesConfig:
    """The packages and components to load: ``plugins`` and ``service.target_components`` of a config.yaml."""

    packages: tuple[str, ...]
    default_component_enabled: bool = True
    configs: tuple[Mapping[str, Any], ...] = ()
    target_components: tuple[str, ...] = ()
    """Prefixes of component names; without any, every loaded rule runs."""
    extract_directory: str | None = None
    """The directory of files for components that need real paths; None for the system's temporary directory."""


def load_packages(packages: Iterable[str]) -> None:
    """Import packages with all their modules, and those of the variable EXTRA_PACKAGES.

    Raises:
        ConfigurationError: a module cannot be imported; the text names the module and the cause.
    """
    extra = os.environ.get(_EXTRA_PACKAGES, "").split(",")
    for package in [*packages, *(name.strip() for name in extra if name.strip())]:
        name = package.removesuffix(".py").rstrip("/").replace("/", ".")
        for _ in _imported(name, package):
            pass


def configure(config: RulesConfig) -> None:
    """Enable, disable and tune the loaded components.

    Raises:
        ConfigurationError: an entry of ``configs`` has no name.
    """
    names = sorted(map(dr.get_name, dr.DELEGATES))
    for number, entry in enumerate(config.configs):
        prefix = entry.get("name")
        if not isinstance(prefix, str) or not prefix:
            raise ConfigurationError(
                f"plugins.configs[{number}].name is {prefix!r}; expected a component's name"
            )
        if not any(name.startswith(prefix) for name in names):
            _LOG.warning("plugins.configs[%d].name: no loaded component begins with %r", number, prefix)
    settings = {
        "default_component_enabled": config.default_component_enabled,
        "configs": [dict(entry) for entry in config.configs],
    }
    insights.apply_default_enabled(settings)
    insights.apply_configs(settings)


def target_graph(target_components: Iterable[str]) -> dict[Any, set[Any]]:
    """Return the components to run with their dependencies.

    Without targets these are all rules with their dependencies, because a report contains nothing else.

    Raises:
        ConfigurationError: targets are given and match nothing.
    """
    prefixes = tuple(target_components)
    runnable = dr.COMPONENTS[dr.GROUPS.single]
    if not prefixes:
        return _closure([Hostname, *filter(plugins.is_rule, runnable)])
    for prefix in prefixes:
        if not any(dr.get_name(component).startswith(prefix) for component in dr.DELEGATES):
            _LOG.warning("service.target_components: no loaded component begins with %r", prefix)
    targets = [component for component in dr.DELEGATES if dr.get_name(component).startswith(prefixes)]
    if not targets:
        raise ConfigurationError(
            f"service.target_components is {list(prefixes)}; no loaded component's name begins with any of them"
        )
    return _closure(targets)


def run_order(graph: Mapping[Any, set[Any]]) -> list[Any]:
    """Return the components of a graph, dependencies first; the same order in every process."""
    # Sets of objects have no stable order; the order of registration follows from the imports and is stable.
    registered = {component: number for number, component in enumerate(dr.DELEGATES)}
    waiting = {component: set(graph[component]) & graph.keys() for component in graph}
    dependents: dict[Any, list[Any]] = {component: [] for component in graph}
    for component, dependencies in waiting.items():
        for dependency in dependencies:
            dependents[dependency].append(component)
    ordered: list[Any] = []
    ready = [component for component, dependencies in waiting.items() if not dependencies]
    while ready:
        ready.sort(key=lambda component: (registered.get(component, -1), dr.get_name(component)))
        ordered += ready
        freed = []
        for component in ready:
            for dependent in dependents[component]:
                waiting[dependent].discard(component)
                if not waiting[dependent]:
                    freed.append(dependent)
        ready = freed
    if len(ordered) < len(graph):
        stuck = sorted(dr.get_name(component) for component, left in waiting.items() if left)
        raise ConfigurationError(f"components have a circular dependency: {', '.join(stuck)}")
    return ordered


def _imported(name: str, package: str) -> Iterator[ModuleType]:
    if _NOT_LOADED.search(name):
        return
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        where = f"{package!r}" if name == package else f"{package!r}: its module {name!r}"
        raise ConfigurationError(
            f"plugins.packages: {where} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    yield module
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{module.__name__}."):
        yield from _imported(found.name, package)


def _closure(components: Iterable[Any]) -> dict[Any, set[Any]]:
    graph: dict[Any, set[Any]] = {}
    pending = list(components)
    while pending:
        component = pending.pop()
        if component not in graph:
            graph[component] = set(dr.get_dependencies(component))
            pending += graph[component]
    return graph
