"""Runs rules on one archive and prints the results for a person."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from headrace.cli.output import Output
from headrace.rules import SHIPPED_PACK
from headrace.rules.content import content_of
from headrace.rules.evaluation import Evaluation, Rules, RulesConfig
from headrace.runtime.errors import ConfigurationError

MAX_ARCHIVE_BYTES: Final = 1 << 30
_ENTRY_FIELDS: Final = ("type", "error_key", "pass_key", "info_key", "fingerprint_key")


def run_trial(archive: Path, packages: Sequence[str], *, as_json: bool) -> None:
    """Print the results of the packages' rules (by default the included ones) for the archive.

    Raises:
        ArchiveRejected: the archive is not acceptable.
        ConfigurationError: a package cannot be imported, a rule reads a key that a parser's ``EXCERPT`` does not
            name, or the archive is too large.
    """
    if archive.stat().st_size > MAX_ARCHIVE_BYTES:
        raise ConfigurationError(f"{archive} has more than {MAX_ARCHIVE_BYTES} bytes")
    if packages and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    rules = Rules.load(RulesConfig(packages=tuple(packages) or (SHIPPED_PACK,)))
    evaluation = rules.evaluate(archive.read_bytes(), checked=True)
    if as_json:
        sys.stdout.write(json.dumps(evaluation.report, indent=2) + "\n")
    else:
        _Shown(Output()).show(archive, evaluation)


class _Shown:
    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, archive: Path, evaluation: Evaluation) -> None:
        report = evaluation.report
        context = (evaluation.context or "of an unknown kind").rpartition(".")[2]
        cluster = f", cluster {evaluation.cluster_id}" if evaluation.cluster_id else ""
        self._say(f"{archive.name}: {context}{cluster}, evaluated in {evaluation.seconds * 1000:.0f} ms")
        if evaluation.empty_because:
            self._say(f"No rule could run: {evaluation.empty_because}")
        for entry in report["reports"]:
            self._hit(entry)
        self._entries("Information", report.get("info", ()))
        self._entries("Fingerprints", report["fingerprints"])
        self._entries("Passed", report.get("pass", ()))
        skipped = [(_rule_of(component), _missing(why)) for component, why in evaluation.skips]
        self._table("Skipped", ("RULE", "MISSING"), skipped)
        self._table("Failed", ("COMPONENT", "REASON"), evaluation.exceptions)
        counts = {
            "hit": report["reports"],
            "passed": report.get("pass", ()),
            "informed": report.get("info", ()),
        }
        told = [f"{len(entries)} {what}" for what, entries in counts.items()]
        told += [f"{len(evaluation.skips)} skipped", f"{len(evaluation.exceptions)} failed"]
        self._output.line()
        self._say(", ".join(told))

    def _hit(self, entry: dict[str, Any]) -> None:
        content = content_of(entry["component"], entry["key"])
        self._output.line()
        about = f": {content.description}" if content and content.description else ""
        self._say(f"{entry['key']}{about}", style="bold red")
        grades = (("impact", content.impact), ("likelihood", content.likelihood)) if content else ()
        shown = ", ".join(f"{name} {grade} of 4" for name, grade in grades if grade is not None)
        self._say(f"  {_rule_of(entry['component'])}{f' ({shown})' if shown else ''}", style="dim")
        for name, value in _details(entry).items():
            self._detail(name, value)
        if content and content.resolution:
            self._say("  What to do:")
            for line in content.resolution.splitlines():
                self._say(f"    {line}")

    def _detail(self, name: str, value: Any) -> None:
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            self._say(f"  {name}:")
            for one in value:
                self._say(f"    - {_in_one_line(one)}")
        else:
            self._say(f"  {name}: {_in_one_line(value)}")

    def _entries(self, title: str, entries: Iterable[dict[str, Any]]) -> None:
        rows = [
            (entry["key"], _rule_of(entry["component"]), _in_one_line(_details(entry))) for entry in entries
        ]
        self._table(title, ("KEY", "RULE", "DETAILS"), rows)

    def _table(self, title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if rows:
            self._output.line()
            self._output.table(headers, [[_printable(cell) for cell in row] for row in rows], title=title)

    def _say(self, text: str, *, style: str = "") -> None:
        self._output.line(_printable(text), style=style)


def _details(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry["details"].items() if name not in _ENTRY_FIELDS}


def _in_one_line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_one_line(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(map(_in_one_line, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)


def _rule_of(component: str) -> str:
    return component.removesuffix(".report").removeprefix(f"{SHIPPED_PACK}.rules.")


def _missing(why: str) -> str:
    """Return the last parts of the names of what was missing: the modules' names are long and say little.

    insights-core reports two lists of names: all of the first are missing, and every one of each group of the
    second.
    """
    needed, _, groups = why.partition("Any:")
    named = [*_names(needed), *(" or ".join(_names(group)) for group in groups.split("]"))]
    return ", ".join(filter(None, named)) or why


def _names(listed: str) -> list[str]:
    return [name.rpartition(".")[2] for name in re.findall(r"'([^']+)'", listed)]


def _printable(text: str) -> str:
    """Return the text without terminal control sequences, because archives are untrusted."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
