"""A cluster's report as rows. No I/O."""

from dataclasses import dataclass
from typing import Any, Final

from headrace.contracts.message import Unjudged, json_text, shown
from headrace.contracts.rules import RulesResult
from headrace.runtime.errors import Poison
from headrace_services.results_aggregator.messages import Origin, judged

# The special rule whose details hold the cluster's version.
_VERSION_ID: Final = "version_info|CLUSTER_VERSION_INFO"
_EXPECTED_KEYS: Final = ("fingerprints", "reports", "system")
# An index entry has room for 2.7 kB: a rule and its key together.
_MAX_NAME_BYTES: Final = 1000


class EmptyReport(Exception):
    """No rule was run on the archive: this is not a fault, but there is nothing to store."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Rule hits, one list a column; ``repeated`` more named the same rule and key again."""

    rule_fqdn: list[str]
    error_key: list[str]
    template_data: list[str]
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What is stored of one message."""

    origin: Origin
    text: str
    hits: Hits
    cluster_version: str | None


def cluster_report(message: Unjudged) -> ClusterReport:
    """Check and take apart; raises `Poison`, or `EmptyReport` when no rule was run."""
    result = judged(message, RulesResult)
    origin, report = Origin.of(result), result.Report
    missing = [key for key in _EXPECTED_KEYS if key not in report]
    if missing:
        if all(_is_empty(key, value) for key, value in report.items()):
            raise EmptyReport
        raise Poison(f"improper report structure, missing key(s) with name '[{' '.join(missing)}]'")
    return ClusterReport(origin, json_text(report), _hits(report["reports"]), _cluster_version(report))


def _is_empty(key: str, value: Any) -> bool:
    if key == "analysis_metadata":
        return True
    if key == "system" and isinstance(value, dict):
        return not value.get("hostname")
    return value in (None, "", [], {})


def _hits(reports: Any) -> Hits:
    found: dict[tuple[str, str], str] = {}
    entries = _entries("reports", reports)
    for number, entry in enumerate(entries):
        where = f"reports[{number}]"
        rule = (name(f"{where}.component", entry.get("component")), name(f"{where}.key", entry.get("key")))
        found.setdefault(rule, json_text(entry.get("details")))
    return Hits(
        rule_fqdn=[component for component, _ in found],
        error_key=[key for _, key in found],
        template_data=list(found.values()),
        repeated=len(entries) - len(found),
    )


def _cluster_version(report: dict[str, Any]) -> str | None:
    for entry in _entries("info", report.get("info")):
        details = entry.get("details")
        if entry.get("info_id") == _VERSION_ID and isinstance(details, dict):
            version = details.get("version")
            return name("the cluster's version", version) if version else None
    return None


def _entries(where: str, value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Poison(f"{where}: got {shown(value)}, expected an array")
    for number, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise Poison(f"{where}[{number}]: got {shown(entry)}, expected an object")
    return value


def name(where: str, value: Any) -> str:
    """A text that a column and an index can hold; raises `Poison`."""
    if not isinstance(value, str) or not value:
        raise Poison(f"{where}: got {shown(value)}, expected text")
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError as error:
        raise Poison(f"{where}: {error.reason}") from None
    if size_bytes > _MAX_NAME_BYTES:
        raise Poison(f"{where}: got {size_bytes} bytes, expected at most {_MAX_NAME_BYTES}")
    if "\0" in value:
        raise Poison(f"{where}: contains a NUL character")
    return value
