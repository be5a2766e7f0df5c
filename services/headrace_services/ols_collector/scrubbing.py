"""Removes secrets from log lines, because answers may repeat what was sent."""

import re
from dataclasses import dataclass, field
from typing import Final

_BEARER: Final = re.compile(r"((?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
_SHOWN_CHARACTERS: Final = 300
# A shorter text is not a secret and may be a common word.
_SHORTEST_SECRET: Final = 8


@dataclass
class Scrubber:
    """The known secrets of one collector."""

    _secrets: set[str] = field(default_factory=set, repr=False)

    def learn(self, *secrets: str) -> None:
        """Add a secret."""
        self._secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)

    def clean(self, text: str) -> str:
        """Return the beginning of an external text, on one line, without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _BEARER.sub(r"\1***", text)
        return " ".join(text[:_SHOWN_CHARACTERS].split())


def shown(path: str) -> str:
    """Return a path for a log line."""
    return path if path.isprintable() else ascii(path)[1:-1]
