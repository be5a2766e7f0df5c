"""The conditions of one SQL statement: fixed text, with values as arguments."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

# The characters that LIKE interprets.
_SPECIAL: Final = re.compile(r"[%_\\]")


def literal(text: str) -> str:
    """Return the LIKE pattern that matches the text itself."""
    return _SPECIAL.sub(r"\\\g<0>", text)


@dataclass
class Where:
    """A WHERE clause; the conditions refer to their ``arguments`` by position."""

    conditions: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def place(self, value: Any) -> str:
        """Add an argument and return its placeholder."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, condition: str) -> None:
        """Add a condition; every value in it is a `place`."""
        self.conditions.append(condition)

    def compare(self, column: str, operator: str, value: Any) -> None:
        """Compare a column with a value."""
        self.add(f"{column} {operator} {self.place(value)}")

    def add_any(self, alternatives: list[str]) -> None:
        """Add conditions of which at least one must hold; an empty list adds nothing."""
        if alternatives:
            self.add(f"({' or '.join(alternatives)})")

    @property
    def text(self) -> str:
        """The text after WHERE."""
        return " and ".join(self.conditions) or "true"
