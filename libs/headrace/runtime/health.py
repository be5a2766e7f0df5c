"""What is up and what is not, with the reason; the probes and ``headrace status`` read it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Health:
    """Named checks; each gives None when well, else the reason a person can act on."""

    checks: dict[str, Callable[[], str | None]] = field(default_factory=dict)
    facts: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def add(self, name: str, check: Callable[[], str | None]) -> None:
        """Register a check that answers at once from known state (no I/O)."""
        self.checks[name] = check

    def tell(self, name: str, fact: Callable[[], Any]) -> None:
        """Show something known (JSON) beside the checks, well or not."""
        self.facts[name] = fact

    def report(self) -> dict[str, str | None]:
        """Every check's reason, None where well."""
        return {name: check() for name, check in self.checks.items()}

    @property
    def problems(self) -> dict[str, str]:
        """Only what is not well."""
        return {name: reason for name, reason in self.report().items() if reason is not None}
