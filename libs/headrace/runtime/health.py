"""The health of a process, as named checks with reasons; probes and ``headrace status`` read it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Health:
    """Named checks; each returns None if healthy, else a reason on which a person can act."""

    checks: dict[str, Callable[[], str | None]] = field(default_factory=dict)
    facts: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def add(self, name: str, check: Callable[[], str | None]) -> None:
        """Register a check that answers immediately from known state (no I/O)."""
        self.checks[name] = check

    def tell(self, name: str, fact: Callable[[], Any]) -> None:
        """Add a JSON value to the report, beside the checks and whatever their outcome."""
        self.facts[name] = fact

    def report(self) -> dict[str, str | None]:
        """Return the reason of every check, None for a healthy one."""
        return {name: check() for name, check in self.checks.items()}

    @property
    def problems(self) -> dict[str, str]:
        """Return only the unhealthy checks."""
        return {name: reason for name, reason in self.report().items() if reason is not None}
