"""Keeps secrets out of log lines: answers of others may repeat what was sent."""

import re
from dataclasses import dataclass, field
from typing import Final

_BEARER: Final = re.compile(r"((?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
_SHOWN_CHARACTERS: Final = 300
# A shorter one would blank out ordinary words, and is no secret.
_SHORTEST_SECRET: Final = 8


@dataclass
class Scrubber:
    """Knows the secrets of one collector."""

    _secrets: set[str] = field(default_factory=set, repr=False)

    def learn(self, *secrets: str) -> None:
        """Remember what must not be shown."""
        self._secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)

    def clean(self, text: str) -> str:
        """The beginning of somebody's text, on one line, without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _BEARER.sub(r"\1***", text)
        return " ".join(text[:_SHOWN_CHARACTERS].split())


def shown(path: str) -> str:
    """A path fit for a log line."""
    return path if path.isprintable() else ascii(path)[1:-1]
