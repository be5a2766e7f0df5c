"""The outcomes of past collections, for health, metrics and exit codes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class Outcome:
    """The outcome of one cycle. Numbers count files, ``bytes_sent`` is the size of archives.

    ``request_id`` is the last upload's, ``reason`` that of the last failure.
    """

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    skipped: str = ""
    found: int = 0
    incomplete: int = 0
    sent: int = 0
    bytes_sent: int = 0
    failed: int = 0
    removed: int = 0
    discarded: int = 0
    attempts: int = 0
    request_id: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for the health report."""
        shown = {name: value for name, value in vars(self).items() if value not in {"", 0} or name == "sent"}
        return shown | {"began": self.began.isoformat(), "seconds": round(self.seconds, 3)}


@dataclass
class Status:
    """The outcomes so far; ``observe`` is called with each."""

    observe: Callable[[Outcome], None] = lambda _: None
    last: Outcome | None = None
    last_with_data: Outcome | None = None
    waiting_for: str = ""
    cycles: int = 0

    def ended(self, outcome: Outcome) -> None:
        """Record the outcome of a cycle."""
        self.last = outcome
        if outcome.found:
            self.last_with_data = outcome
        self.cycles += 1
        self.observe(outcome)

    @property
    def problem(self) -> str | None:
        """Return why data stay unsent, None if they do not."""
        return self.last.reason or None if self.last else None

    def report(self) -> dict[str, Any]:
        """Return the last cycle, the last cycle with files, and the reason for waiting."""
        shown: dict[str, Any] = {"cycles": self.cycles}
        if self.waiting_for:
            shown["waiting_for"] = self.waiting_for
        for name in ("last", "last_with_data"):
            if outcome := getattr(self, name):
                shown[name] = outcome.as_dict()
        return shown
