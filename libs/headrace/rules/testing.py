"""Helpers for tests of rules: archives in a few words, and the outcome of rules."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from headrace.archives import Entry, write_archive

if TYPE_CHECKING:
    from headrace.rules.evaluation import Evaluation, Rules

MODIFIED: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ALWAYS: Final[Mapping[str, Any]] = {
    "config/id": b"11111111-2222-4333-8444-555555555555",
    "insights-operator/gathers.json": {"status_reports": []},
}


def archive(files: Mapping[str, Any]) -> bytes:
    """Return an Insights Operator archive of these files: bytes unchanged, nothing for None, the rest as JSON."""
    entries = [
        Entry.of(name, content if isinstance(content, bytes) else json.dumps(content).encode())
        for name, content in {**_ALWAYS, **files}.items()
        if content is not None
    ]
    return b"".join(write_archive(entries, modified=MODIFIED, level=1))


def judge(rules: "Rules", files: Mapping[str, Any]) -> "Evaluation":
    """Run loaded rules on an Insights Operator archive of these files, given as for `archive`.

    Raises:
        ConfigurationError: a rule reads a key that a parser's ``EXCERPT`` does not name and would never see.
    """
    return rules.evaluate(archive(files), checked=True)
