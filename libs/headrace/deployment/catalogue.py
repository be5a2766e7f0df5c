"""The catalogue of all metrics: the runtime's, the libraries', and those of each service's ``*metrics.py``."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from prometheus_client.metrics import MetricWrapperBase

from headrace.service.row import Service

_SUFFIXES: Final = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


@dataclass(frozen=True)
class Metric:
    """One metric family; ``kind`` is counter, gauge or histogram."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the series in a scrape."""
        return tuple(self.name + suffix for suffix in _SUFFIXES[self.kind])


@dataclass(frozen=True)
class Section:
    """Metrics that belong together, and the service that exports them."""

    title: str
    metrics: tuple[Metric, ...]


def sections(rows: Sequence[Service]) -> list[Section]:
    """Return the runtime's own metrics, those of libraries that services share, then each service's."""
    found = [Section("runtime", _once(_metrics_in(import_module("headrace.runtime.metrics"))))]
    shared = sorted({row.schema for row in rows if row.schema.startswith("headrace.")})
    for package in shared:
        found += _section(package.rpartition(".")[2], import_module(package), package)
    for row in rows:
        found += _section(row.name, import_module(row.package), row.package)
    return [section for section in found if section.metrics]


def names(rows: Sequence[Service]) -> frozenset[str]:
    """Return every name that a scrape of all services can show."""
    return frozenset(
        series for section in sections(rows) for metric in section.metrics for series in metric.series
    )


def _section(title: str, package: ModuleType, name: str) -> Iterator[Section]:
    paths = sorted(path for folder in package.__path__ for path in Path(folder).glob("*metrics.py"))
    modules = [import_module(f"{name}.{path.stem}") for path in paths]
    yield Section(title, _once(metric for module in modules for metric in _metrics_in(module)))


def _once(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Return each metric once; a module may have it under two names."""
    return tuple({metric.name: metric for metric in metrics}.values())


def _metrics_in(module: ModuleType) -> Iterator[Metric]:
    for value in vars(module).values():
        for metric in value.values() if isinstance(value, dict) else [value]:
            if isinstance(metric, MetricWrapperBase) and metric._name:  # noqa: SLF001 -- the library has no public list
                yield _described(metric)


def _described(metric: Any) -> Metric:
    (family,) = metric.describe()
    return Metric(family.name, family.type, family.documentation, tuple(metric._labelnames))  # noqa: SLF001
