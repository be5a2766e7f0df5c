"""JSON texts in any arrangement on lines, as jq accepts them: several on one line, or one over several. No I/O."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import orjson

# A longer text is malformed; its beginning is passed on, to be counted.
_MAX_TEXT_BYTES: Final = 16 << 20
_MARK: Final = b"\xef\xbb\xbf"
# An unpaired quote begins a string without an end, because JSON strings contain no newline.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}"]')


class Texts:
    """Joins or splits lines, so that each piece is one JSON text or malformed."""

    def __init__(self) -> None:
        self._held = b""
        self._depth = 0
        self._begun = False

    def of(self, lines: Iterable[bytes]) -> list[bytes]:
        """Return the complete texts so far; a line that is one text stays unchanged."""
        found: list[bytes] = []
        for given in lines:
            line = given
            if not self._begun:
                self._begun = True
                line = line.removeprefix(_MARK)
            if self._held and line.startswith(b"{") and _is_row(line):
                # The previous text was cut off and must not swallow the next ones.
                found += self.end()
            if not self._held and _looks_whole(line):
                found.append(line)
            else:
                found += self._add(line)
        return found

    def end(self) -> list[bytes]:
        """Return the incomplete text."""
        rest, self._held, self._depth = self._held, b"", 0
        return [rest] if rest else []

    def _add(self, line: bytes) -> Iterator[bytes]:
        start = 0
        for token in _TOKEN.finditer(line):
            kind = token[0]
            if kind == b'"' or (kind in b"]}" and not self._depth):
                yield self._take(line[start:])
                return
            if kind in b"{[":
                if not self._depth and line[start : token.start()].strip():
                    yield line[start : token.start()]
                    start = token.start()
                self._depth += 1
            elif kind in b"}]":
                self._depth -= 1
                if not self._depth:
                    yield self._take(line[start : token.end()])
                    start = token.end()
        rest = line[start:]
        if self._depth:
            self._held += b" " + rest if self._held else rest
            if len(self._held) > _MAX_TEXT_BYTES:
                yield from self.end()
        elif rest.strip():
            yield rest

    def _take(self, part: bytes) -> bytes:
        text = self._held + b" " + part if self._held else part
        self._held, self._depth = b"", 0
        return text


def several(line: bytes) -> list[bytes]:
    """Return the texts of a line that consists only of JSON texts; otherwise an empty list."""
    texts = Texts()
    parts = [*texts._add(line), *texts.end()]  # noqa: SLF001 -- its own
    return parts if len(parts) > 1 and all(map(is_json, parts)) else []


def _looks_whole(line: bytes) -> bool:
    """Return whether a line looks like one text, as nearly every line does.

    A line of several objects does too; the caller splits it when parsing fails.
    """
    return line.startswith(b"{") and line.endswith(b"}") and line.count(b"{") == line.count(b"}")


def _is_row(line: bytes) -> bool:
    return line.strip() != b"{}" and is_json(line)


def is_json(text: bytes) -> bool:
    """Return whether a line is one complete text."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
