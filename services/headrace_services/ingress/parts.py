"""Splits a multipart body into parts like Go's ``mime/multipart``, which upstream uses.

Senders depend on its behaviour: line ends without a carriage return, blanks after a boundary, parts without a
disposition, header blocks of many KiB and quoted-printable are accepted; what it refuses is refused here. Other parsers
differ in each of these points and cannot be configured.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from headrace_services.ingress.media_types import parse_media_type

# The limit of all headers of one part; upstream accepts 18 MiB, more than a sender may buffer without a place.
MAX_HEADER_BYTES: Final = 256 << 10
MAX_HEADERS: Final = 10_000
# The limit of a line between parts, and of quoted-printable: the buffer size of Go's readers.
_MAX_LINE: Final = 4096
_BLANKS: Final = b" \t"
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z ]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
_QP_CONTROL: Final = re.compile(rb"[^\t\r\n -~\x80-\xff]")
_QP_ESCAPE: Final = re.compile(rb"=([0-9A-Fa-f]{2})?")


class Malformed(Exception):
    """The body is not multipart."""


@dataclass(frozen=True)
class Part:
    """The headers of a part with names in lower case; of several headers with one name the first counts."""

    headers: dict[bytes, bytes]

    @cached_property
    def _disposition(self) -> dict[str, str]:
        header = self.headers.get(b"content-disposition", b"")
        kind, parameters = parse_media_type(header.decode(errors="surrogateescape")) or ("", {})
        return parameters if kind == "form-data" else {}

    @property
    def name(self) -> str:
        """The field name; empty if the part does not belong to the form."""
        return _shown(self._disposition.get("name", ""))

    @property
    def filename(self) -> str:
        """The file's name; a part without one is a plain value."""
        return _shown(self._disposition.get("filename", ""))

    @property
    def content_type(self) -> str:
        """The content type as it was sent."""
        return self.headers.get(b"content-type", b"").decode(errors="replace")

    @property
    def is_quoted_printable(self) -> bool:
        """Whether the body has to be decoded; other encodings are passed on unchanged."""
        return self.headers.get(b"content-transfer-encoding", b"").lower() == b"quoted-printable"


def _shown(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")


@dataclass
class _Head:
    """A header block while it arrives."""

    lines: list[bytearray] = field(default_factory=list)
    size: int = 0

    def add(self, line: bytes) -> None:
        """Add one line with its end; a folded line is appended to the previous one."""
        text = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        folded = text[:1] in (b" ", b"\t")
        if folded and not self.lines:
            raise Malformed("a part's first header begins with a blank")
        if folded:
            self.lines[-1] += b" " + text.strip(_BLANKS)
        elif b":" not in text:
            raise Malformed("a line among a part's headers has no colon")
        else:
            self.lines.append(bytearray(text.strip(_BLANKS)))
        if len(self.lines) > MAX_HEADERS:
            raise Malformed(f"a part has more than {MAX_HEADERS} headers")

    def part(self) -> Part:
        headers: dict[bytes, bytes] = {}
        for line in self.lines:
            found = _HEADER.fullmatch(bytes(line))
            if found is None:
                raise Malformed("a part's header has an invalid name or an invalid byte")
            headers.setdefault(found[1].lower(), found[2].lstrip(_BLANKS))
        return Part(headers)


class PartReader:
    """Takes a body in pieces; yields a `Part`, then its bytes, then None, for each part."""

    def __init__(self, boundary: bytes, max_parts: int) -> None:
        self._boundary = b"--" + boundary
        self._newline = b"\r\n"
        self._max_parts = max_parts
        self._count = 0
        self._head: _Head | None = None
        self._in_body = False
        # In a body: the bytes that may begin a boundary, and how many of them were inserted by this reader.
        self._tail = b""
        self._unsent = 0
        # Outside of a body: the incomplete line.
        self._line = bytearray()
        self._done = False

    def feed(self, data: bytes) -> Iterator[Part | bytes | None]:
        """Yield what these bytes complete; raises `Malformed`."""
        data, self._tail, at = self._tail + data, b"", 0
        while at < len(data) and not self._done:
            if self._in_body:
                at = yield from self._body(data, at)
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            self._check_length()
            if self._line.endswith(b"\n"):
                line, self._line = bytes(self._line), bytearray()
                part = self._on_line(line)
                if part is not None:
                    yield part
                    # A boundary may follow at once if the part is empty; its line break is the header's, so one is
                    # inserted.
                    data, at, self._unsent = self._newline + data[at:], 0, len(self._newline)

    def close(self) -> None:
        """End the body; raises `Malformed` if the closing boundary is missing."""
        if not (self._done or (not self._head and not self._in_body and self._is_last(bytes(self._line)))):
            raise Malformed("the body ends before its closing boundary")

    def _check_length(self) -> None:
        if self._head is not None:
            if self._head.size + len(self._line) > MAX_HEADER_BYTES:
                raise Malformed(f"a part's headers are longer than {MAX_HEADER_BYTES} bytes")
        elif len(self._line) > _MAX_LINE:
            raise Malformed(f"a line outside the parts is longer than {_MAX_LINE} bytes")

    def _on_line(self, line: bytes) -> Part | None:
        if self._head is None:
            self._between(line)
            return None
        if line not in (b"\n", b"\r\n"):
            self._head.size += len(line)
            self._head.add(line)
            return None
        part, self._head, self._in_body = self._head.part(), None, True
        self._count += 1
        if self._count > self._max_parts:
            raise Malformed(f"there are more than {self._max_parts} parts")
        return part

    def _between(self, line: bytes) -> None:
        """Handle a line before the first part, or the boundary after a part."""
        if line.startswith(self._boundary):
            rest = line[len(self._boundary) :].lstrip(_BLANKS)
            if not self._count and rest == b"\n":
                self._newline = b"\n"
            if rest == self._newline:
                self._head = _Head()
                return
        if self._is_last(line):
            self._done = True
        elif self._count:
            raise Malformed("a boundary is followed by other text on its line")

    def _is_last(self, line: bytes) -> bool:
        if not line.startswith(self._boundary + b"--"):
            return False
        return line[len(self._boundary) + 2 :].lstrip(_BLANKS) in (b"", self._newline)

    def _body(self, data: bytes, at: int) -> Generator[bytes | None, None, int]:
        """Yield a part's bytes from ``at``; return the position of its boundary's line, or the end of ``data``."""
        delimiter = self._newline + self._boundary
        found = data.find(delimiter, at)
        while found >= 0:
            after = data[found + len(delimiter) : found + len(delimiter) + 2]
            if after == b"--" or after[:1] in (b" ", b"\t", b"\r", b"\n"):
                yield from self._sent(data, at, found)
                yield None
                self._in_body = False
                return found + len(self._newline)
            if after in (b"", b"-"):
                break
            found = data.find(delimiter, found + 1)
        else:
            found = data.rfind(delimiter[:1], max(at, len(data) - len(delimiter) + 1))
            if found < 0 or not delimiter.startswith(data[found:]):
                found = len(data)
        yield from self._sent(data, at, found)
        self._tail = data[found:]
        return len(data)

    def _sent(self, data: bytes, begin: int, end: int) -> Iterator[bytes]:
        if end > begin:
            begin, self._unsent = begin + self._unsent, 0
        if end > begin:
            # The piece may be passed on as a whole, without a copy.
            yield data[begin:end]


class QuotedPrintable:
    """Decodes a quoted-printable body that arrives in pieces, like Go's ``mime/quotedprintable``."""

    def __init__(self) -> None:
        self._line = b""

    def feed(self, data: bytes) -> bytes:
        """Return what these bytes complete; raises `Malformed`."""
        *lines, self._line = (self._line + data).split(b"\n")
        if max(map(len, (*lines, self._line))) >= _MAX_LINE:
            raise Malformed(f"a quoted-printable line is longer than {_MAX_LINE} bytes")
        return b"".join(_decoded(line + b"\n") for line in lines)

    def close(self) -> bytes:
        """Return the decoded last line, which has no line break."""
        line, self._line = self._line, b""
        return _decoded(line)


def _decoded(line: bytes) -> bytes:
    text = line.rstrip(b"\r\n \t")
    end = line[len(text) :]
    if text.endswith(b"="):
        text = text[:-1]
        rest = end.lstrip(_BLANKS)
        if not rest.startswith((b"\n", b"\r\n")) and not (text and not rest and not line.endswith(b"\n")):
            raise Malformed("bytes follow the = at a quoted-printable line's end")
    elif line.endswith(b"\n"):
        text += b"\r\n" if line.endswith(b"\r\n") else b"\n"
    if text.endswith(b"=") or _QP_CONTROL.search(text):
        raise Malformed("a quoted-printable line has an invalid byte")
    return _QP_ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"=", text)
