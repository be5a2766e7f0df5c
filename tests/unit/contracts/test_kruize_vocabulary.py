"""Kruize's names are declared once: no service that uses Kruize or its recommendations repeats one as a literal."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import headrace_services
from headrace.contracts import kruize
from headrace.ros.columns import CURRENT_COLUMNS, PERCENTAGE_COLUMNS, percentage_column
from headrace_services.ros_poller.recommendation import Engines, Point, Terms

SPEAKERS = ("kruize", "ros_processor", "ros_poller", "ros_api")
WORDS = {
    *kruize.TERMS,
    *map(kruize.short_name, kruize.TERMS),
    *kruize.ENGINES,
    *(metric.name for metric in (*kruize.CONTAINER_METRICS, *kruize.NAMESPACE_METRICS)),
    *CURRENT_COLUMNS,
    *PERCENTAGE_COLUMNS,
    *(code.key for code in kruize.Code),
}


def texts(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, f"{path.parent.name}/{path.name}:{node.lineno}: {node.value}"


def test_no_service_writes_a_word_of_kruizes_as_a_text():
    services = Path(headrace_services.__file__).parent
    paths = sorted(path for name in SPEAKERS for path in (services / name).glob("*.py"))
    assert not [where for path in paths for text, where in texts(path) if text in WORDS]


def test_the_poller_reads_every_term_engine_and_resource():
    assert tuple(Terms.model_fields) == kruize.TERMS
    assert tuple(Engines.model_fields) == kruize.ENGINES
    assert set(Point.model_fields) == {kruize.CPU_USAGE.name, kruize.MEMORY_USAGE.name}


def test_columns_are_named_after_resource_term_and_engine():
    assert percentage_column("cpu", kruize.SHORT_TERM, kruize.COST) == "cpu_variation_short_cost_pct"
    assert len(set(PERCENTAGE_COLUMNS)) == 2 * 3 * 2
    assert all(re.fullmatch(r"\d{6}", code.key) for code in kruize.Code)
