"""The health of a process, as named checks with reasons; probes and ``headrace status`` read it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

# What is not well so soon, and never was, is on its way.
STARTING_SECONDS: Final = 60.0


@dataclass
class Health:
    """Named checks; each returns None if healthy, else a reason on which a person can act."""

    checks: dict[str, Callable[[], str | None]] = field(default_factory=dict)
    facts: dict[str, Callable[[], Any]] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _once_well: set[str] = field(default_factory=set)

    def add(self, name: str, check: Callable[[], str | None]) -> None:
        """Register a check that answers immediately from known state (no I/O)."""
        self.checks[name] = check

    def tell(self, name: str, fact: Callable[[], Any]) -> None:
        """Add a JSON value to the report, beside the checks and whatever their outcome."""
        self.facts[name] = fact

    def report(self) -> dict[str, str | None]:
        """Return the reason of every check, None for a healthy one."""
        reasons = {name: check() for name, check in self.checks.items()}
        self._once_well.update(name for name, reason in reasons.items() if reason is None)
        return reasons

    @property
    def is_starting(self) -> bool:
        """Whether all that is unhealthy was never healthy, and the start is less than a minute ago."""
        ill = self.problems.keys()
        is_early = time.monotonic() - self._began < STARTING_SECONDS
        return bool(ill) and is_early and not ill & self._once_well

    @property
    def problems(self) -> dict[str, str]:
        """Return only the unhealthy checks."""
        return {name: reason for name, reason in self.report().items() if reason is not None}
