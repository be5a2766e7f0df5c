"""The conditions of one SQL statement: texts that are ours, values that are arguments."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Where:
    """What must hold of a row; the conditions name their ``arguments`` by place."""

    conditions: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def place(self, value: Any) -> str:
        """The placeholder of one more argument."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, condition: str) -> None:
        """One more condition; every value in it is a `place`."""
        self.conditions.append(condition)

    def compare(self, column: str, operator: str, value: Any) -> None:
        """A column of ours against a value."""
        self.add(f"{column} {operator} {self.place(value)}")

    def add_any(self, alternatives: list[str]) -> None:
        """At least one of these must hold; an empty list asks for nothing."""
        if alternatives:
            self.add(f"({' or '.join(alternatives)})")

    @property
    def text(self) -> str:
        """What follows WHERE."""
        return " and ".join(self.conditions) or "true"
