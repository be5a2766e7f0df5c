"""The page of the metrics, generated from the modules that declare them and the comments beside them."""

import ast
import inspect
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from prometheus_client.metrics import MetricWrapperBase

from headrace.laptop.reference import table
from headrace.service.row import Service

_HEAD: Final = """\
# Metrics

`make docs` writes this page from the declarations in the code; edit the texts there.

Each process serves its metrics at `/metrics` of its admin port (`HEADRACE_ADMIN_PORT`, 9100 in the local shape) in
Prometheus' text format; the label `service` separates the services of one process.
A histogram has the series `…_bucket`, `…_sum` and `…_count`.
"""
_LIBRARIES: Final = {
    "Every service": "headrace.runtime.metrics",
    "The services of the ROS database": "headrace.ros.metrics",
    "Workers of rules": "headrace.rules.workers.metrics",
}


def metrics_page(rows: Sequence[Service]) -> str:
    """Return the page in Markdown: what every process has, then what each service adds."""
    sections = [_HEAD]
    sections += [_section(title, import_module(name)) for title, name in _LIBRARIES.items()]
    for row in rows:
        if module := _metrics_module(row):
            sections.append(_section(f"Service `{row.name}`", module))
    return "\n".join(filter(None, sections))


def declared(module: ModuleType) -> Iterator[tuple[str, MetricWrapperBase]]:
    """Yield the metrics of a module with the variables that hold them, alone or as values of a mapping."""
    for variable, value in vars(module).items():
        for found in value.values() if isinstance(value, dict) else (value,):
            if isinstance(found, MetricWrapperBase):
                yield variable, found


def shown_name(metric: MetricWrapperBase) -> str:
    """Return the name under which Prometheus knows a metric."""
    (described,) = metric.describe()
    return f"{described.name}_total" if described.type == "counter" else described.name


def _section(title: str, module: ModuleType) -> str:
    comments = _comments(module)
    lines = []
    for variable, metric in declared(module):
        (described,) = metric.describe()
        labels: Sequence[str] = getattr(metric, "_labelnames", ())
        meaning = described.documentation + (f". {comments[variable]}" if variable in comments else "")
        lines.append(
            (f"`{shown_name(metric)}`", described.type, ", ".join(f"`{each}`" for each in labels), meaning)
        )
    return f"## {title}\n\n{table(('metric', 'kind', 'labels', 'meaning'), lines)}" if lines else ""


def _comments(module: ModuleType) -> dict[str, str]:
    """Return the comment above each declaration, which says what to do about a value."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if not isinstance(target, ast.Name):
            continue
        first = node.lineno - 1
        while first and lines[first - 1].startswith("# "):
            first -= 1
        if words := " ".join(line.removeprefix("# ") for line in lines[first : node.lineno - 1]):
            found[target.id] = words
    return found


def _metrics_module(row: Service) -> Any:
    try:
        return row.module("metrics")
    except ModuleNotFoundError as error:
        if error.name == f"headrace_services.{row.name}.metrics":
            return None
        raise
