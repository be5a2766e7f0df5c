"""Which tier runs, and what a full run writes down: figures.json, and docs/faults.md from it and the table of rows."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.rows import BY_NUMBER, ROWS, Row

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
FIGURES = Path(__file__).with_name("figures.json")
BEGIN, END = "<!-- rows: begin -->", "<!-- rows: end -->"
FULL = os.environ.get("HEADRACE_TEST_FAULTS") == "full"
_FULL_TEST_SECONDS = 4 * 3600


@dataclass(frozen=True)
class RowRun:
    """What a test of a row is given: the lengths of its tier, and a place for its figures."""

    row: Row
    properties: list[tuple[str, object]]
    full: bool = FULL

    def __getitem__(self, name: str) -> int:
        """A length, as a count or whole seconds."""
        return int((self.row.full if self.full else self.row.short)[name])

    def record(self, **figures: object) -> None:
        """Figures by name, in words: `record(kills=20, recovery_seconds=1.25)`."""
        self.properties.append(("figures", ", ".join(_figure(*item) for item in figures.items())))


def _figure(name: str, value: object) -> str:
    shown = f"{value:.3g}" if isinstance(value, float) else str(value)
    words = name.replace("_", " ")
    if words.endswith(" seconds"):
        return f"{words.removesuffix(' seconds')}: {shown} s"
    return f"{words}: {shown}"


@pytest.fixture
def row(request: pytest.FixtureRequest) -> RowRun:
    """The row that the test's first `row` marker names."""
    numbers = [number for marker in request.node.iter_markers("row") for number in marker.args]
    assert numbers, "a test that takes `row` needs @pytest.mark.row(number)"
    return RowRun(BY_NUMBER[numbers[0]], request.node.user_properties)


def numbers_of(item: pytest.Item) -> set[int]:
    """The rows that a test proves."""
    return {number for marker in item.iter_markers("row") for number in marker.args}


def pytest_configure(config: pytest.Config) -> None:
    if FULL:
        config.pluginmanager.register(Recorder())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a full run only the rows' tests, those of HEADRACE_TEST_ROWS, and none that `HEADRACE_TEST_RESUME` spares."""
    if not FULL:
        _choose(config, items, [item for item in items if not item.get_closest_marker("full")])
        return
    rows = {int(number) for number in os.environ.get("HEADRACE_TEST_ROWS", "").split()} or set(BY_NUMBER)
    done = _done(os.environ.get("HEADRACE_TEST_RESUME", ""))
    chosen = [item for item in items if numbers_of(item) & rows and name_of(item.nodeid) not in done]
    _choose(config, items, chosen)
    for item in items:
        item.add_marker(pytest.mark.timeout(_FULL_TEST_SECONDS), append=False)


def _choose(config: pytest.Config, items: list[pytest.Item], chosen: list[pytest.Item]) -> None:
    kept = set(chosen)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = chosen


def _done(resume: str) -> set[str]:
    """Tests that passed on this product, with `1`; with a commit, those that passed on it or on a later one."""
    if not resume:
        return set()
    passed = {name: entry for name, entry in read_figures().items() if not entry["failed"]}
    if resume == "1":
        product = _product()
        return {name for name, entry in passed.items() if entry.get("product") == product}
    return {name for name, entry in passed.items() if _is_ancestor(resume, entry["commit"])}


def name_of(node_id: str) -> str:
    """A test without its parameters."""
    return node_id.partition("[")[0]


class Recorder:
    """Writes each test's figures at once, so that an interrupted run keeps what it has."""

    def __init__(self) -> None:
        self._machine = machine()
        self._commit = _revision("HEAD")
        self._product = _product()
        self._begun: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        report = yield
        rows = sorted(numbers_of(item))
        if rows and (report.when == "call" or (report.when == "setup" and not report.passed)):
            self._write(name_of(item.nodeid), rows, report)
        return report

    def _write(self, name: str, rows: list[int], report: pytest.TestReport) -> None:
        figures = read_figures()
        entry = figures.get(name) if name in self._begun else None
        self._begun.add(name)
        entry = entry or {"cases": 0, "failed": 0, "skipped": 0, "seconds": 0.0, "figures": []}
        entry["cases"] += 1
        entry["failed"] += report.failed
        entry["skipped"] += report.skipped
        entry["seconds"] = round(entry["seconds"] + report.duration, 1)
        entry["figures"] += [str(text) for kind, text in report.user_properties if kind == "figures"]
        entry |= {
            "rows": rows, "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": self._machine, "commit": self._commit,
            "product": self._product,
        }  # fmt: skip
        figures[name] = entry
        FIGURES.write_text(json.dumps(dict(sorted(figures.items())), indent=1) + "\n", encoding="utf-8")
        write_page()


def machine() -> str:
    """Cores, memory, system, and how long a fixed loop takes: what figures are to be compared by."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, calibration loop {calibration_seconds():.2f} s"
    )


def calibration_seconds() -> float:
    """The best of three sums of three million squares."""
    found = []
    for _ in range(3):
        began = time.perf_counter()
        sum(n * n for n in range(3_000_000))
        found.append(time.perf_counter() - began)
    return min(found)


def _revision(name: str) -> str:
    answer = subprocess.run(
        ["git", "rev-parse", "--short", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or "unknown"


def _is_ancestor(older: str, newer: str) -> bool:
    answer = subprocess.run(["git", "merge-base", "--is-ancestor", older, newer], cwd=ROOT, check=False)
    return answer.returncode == 0


def _product() -> str:
    """What figures are of: commits of tests and pages leave it as it is."""
    return "-".join(_revision(f"HEAD:{name}") for name in ("libs", "services"))


def read_figures() -> dict[str, dict[str, Any]]:
    """What full runs wrote down, by test."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}


def write_page() -> None:
    """Renew what stands between the page's markers."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), read_figures()), encoding="utf-8")


def page(before: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with its rows as the table and the figures have them."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    machines = list(dict.fromkeys(entry["machine"] for entry in figures.values()))
    lines = [f"- Machine {number}: {text}." for number, text in enumerate(machines, 1)]
    for row in ROWS:
        lines += ["", *_section(row, figures, machines)]
    return "\n".join([f"{head}{BEGIN}", "", *lines, "", f"{END}{tail}"])


def _section(row: Row, figures: Mapping[str, Mapping[str, Any]], machines: Sequence[str]) -> list[str]:
    lines = [f"### {row.number}. {row.title}", "", f"Asks: {row.asks}."]
    if row.full:
        lengths = (f"{name} {row.short[name]:g} / {value:g}" for name, value in row.full.items())
        lines += [f"Lengths (`make test` / `make test-faults`): {', '.join(lengths).replace('_', ' ')}."]
    if row.weaker:
        lines += [f"Weaker than asked: {row.weaker}."]
    own = {name: entry for name, entry in figures.items() if row.number in entry["rows"]}
    if not own:
        return [*lines, f"No figures yet: `make test-faults ROWS={row.number}` writes them."]
    lines += ["", "| test | ends | figures | when, where |", "| --- | --- | --- | --- |"]
    for name, entry in own.items():
        text = "<br>".join(line.replace("|", "/") for each in entry["figures"] for line in each.splitlines())
        passed = entry["cases"] - entry["failed"] - entry["skipped"]
        ends = [f"{passed} passed"] + [f"{entry[w]} {w}" for w in ("failed", "skipped") if entry[w]]
        where = f"{entry['date']}, {entry['commit']}, machine {machines.index(entry['machine']) + 1}"
        lines.append(f"| `{name}` | {', '.join(ends)}, {entry['seconds']:g} s | {text} | {where} |")
    return lines


if __name__ == "__main__":
    write_page()
