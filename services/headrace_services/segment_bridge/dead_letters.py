"""Records that cannot be sent, complete and with the reason: lines of JSON in a file, or only counts without a file.

- an event: ``{"at":"2026-01-02T03:04:05.678901+00:00","reason":"…","event":{…}}``
- a malformed row: ``{"at":…,"reason":"…","line":"…"}``
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol, Self, TypeAlias

import orjson

from headrace.runtime.errors import ConfigurationError

# The bytes, the reason, and the short name under which it is counted.
Bury: TypeAlias = Callable[[bytes, str, str], None]


class Graveyard(Protocol):
    """The store of dead letters. ``counts`` is by short reason."""

    counts: Counter[str]
    kept: bool

    def bury(self, content: bytes, reason: str, name: str) -> None:
        """Add a dead letter; it is durable after the next `flush`."""

    async def flush(self) -> None:
        """Make the added dead letters durable."""


def letter(content: bytes, reason: str) -> bytes:
    """Return one line of the file."""
    head = {"at": datetime.now(UTC).isoformat(), "reason": reason}
    try:
        event = orjson.loads(content)
    except orjson.JSONDecodeError:
        event = None
    if isinstance(event, dict) and "messageId" in event:
        return orjson.dumps(head | {"event": orjson.Fragment(content)}) + b"\n"
    return orjson.dumps(head | {"line": content.decode(errors="replace")}) + b"\n"


def contents_of(
    lines: Iterable[bytes], *, rows: bool, neither: Callable[[bytes], object] = lambda _: None
) -> list[bytes]:
    """Return the events of a file's lines, or the malformed rows, to be sent again.

    ``neither`` is called with each line that is not a dead letter.
    """
    found: list[bytes] = []
    for line in lines:
        try:
            read = orjson.loads(line)
        except orjson.JSONDecodeError:
            read = None
        if isinstance(read, dict) and isinstance(read.get("line"), str):
            found += [read["line"].encode()] if rows else []
        elif isinstance(read, dict) and isinstance(read.get("event"), dict):
            found += [] if rows else [orjson.dumps(read["event"])]
        elif line.strip():
            neither(line)
    return found


class DeadLetterFile:
    """Appends to a file; without a file it only counts."""

    def __init__(self, path: Path | str | None) -> None:
        self.counts: Counter[str] = Counter()
        self.kept = bool(path)
        self._path = Path(path).expanduser() if path else None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=1 << 16)
            except OSError as error:
                raise ConfigurationError(
                    f"the dead-letter file {self._path} cannot be written: {error.strerror}"
                ) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def bury(self, content: bytes, reason: str, name: str) -> None:
        """Append a dead letter."""
        self.counts[name] += 1
        if self._file is not None:
            self._file.write(letter(content, reason))

    async def flush(self) -> None:
        """Flush the appended lines to the system."""
        if self._file is not None:
            self._file.flush()
