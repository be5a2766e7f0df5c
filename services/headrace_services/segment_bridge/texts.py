"""JSON texts however they stand on lines, as jq takes them: several on one, or one over many. No I/O."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import orjson

# A longer text is none of ours; what there is of it is passed on, to be counted as malformed.
_MAX_TEXT_BYTES: Final = 16 << 20
_MARK: Final = b"\xef\xbb\xbf"
# A quote that stands alone begins a string without an end: JSON has none that goes over a line.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}"]')


class Texts:
    """Puts lines together or takes them apart, so that each piece is one JSON text, or is malformed."""

    def __init__(self) -> None:
        self._held = b""
        self._depth = 0
        self._begun = False

    def of(self, lines: Iterable[bytes]) -> list[bytes]:
        """The texts that are whole now; a line that is one already is given back as it is."""
        found: list[bytes] = []
        for given in lines:
            line = given
            if not self._begun:
                self._begun = True
                line = line.removeprefix(_MARK)
            if self._held and line.startswith(b"{") and _is_row(line):
                # The text before was cut off: it must not swallow those that follow.
                found += self.end()
            if not self._held and _looks_whole(line):
                found.append(line)
            else:
                found += self._add(line)
        return found

    def end(self) -> list[bytes]:
        """What has no end."""
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
    """The texts of a line that is no JSON itself but nothing else than JSON texts; else none."""
    texts = Texts()
    parts = [*texts._add(line), *texts.end()]  # noqa: SLF001 -- its own
    return parts if len(parts) > 1 and all(map(is_json, parts)) else []


def _looks_whole(line: bytes) -> bool:
    """Nearly every line is; several objects on one look so too, and are taken apart by who fails to read them."""
    return line.startswith(b"{") and line.endswith(b"}") and line.count(b"{") == line.count(b"}")


def _is_row(line: bytes) -> bool:
    return line.strip() != b"{}" and is_json(line)


def is_json(text: bytes) -> bool:
    """Whether it is one text, whole."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
