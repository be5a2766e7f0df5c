"""Parses Content-Type and Content-Disposition like Go's ``mime.ParseMediaType``, which upstream uses.

Senders depend on its behaviour: names in RFC 2231 pieces are accepted, a backslash in a Windows path is literal, and a
parameter with two different values makes the whole header invalid.
"""

import re
from itertools import count
from typing import Final
from urllib.parse import unquote_to_bytes

_TOKEN: Final = r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+"  # noqa: S105 -- a word of the header's grammar
_SPECIAL: Final = r'[()<>@,;:\\"/\[\]?=]'
_TYPE: Final = re.compile(rf"{_TOKEN}(/{_TOKEN})?")
_PARAMETER: Final = re.compile(
    rf"\s*;\s*(?P<name>{_TOKEN})\s*=\s*(?:(?P<token>{_TOKEN})"
    rf'|"(?P<quoted>(?:\\{_SPECIAL}|[^"\r\n])*+)")'
)
_ESCAPED: Final = re.compile(rf"\\({_SPECIAL})")
_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_CHARSETS: Final = frozenset({"us-ascii", "utf-8"})


def parse_media_type(header: str) -> tuple[str, dict[str, str]] | None:
    """Return the type in lower case and its parameters; None if any part of the header is malformed.

    Bytes that are not UTF-8 are surrogate escapes in ``header`` and in the parameters.
    """
    base, _, _ = header.partition(";")
    kind = base.lower().strip()
    if not _TYPE.fullmatch(kind):
        return None
    sent: dict[str, str] = {}
    at = len(base)
    while header[at:].strip() not in ("", ";"):
        found = _PARAMETER.match(header, at)
        if found is None:
            return None
        quoted = found["quoted"]
        value = found["token"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        if sent.setdefault(found["name"].lower(), value) != value:
            return None
        at = found.end()
    return kind, _joined(sent)


def _joined(sent: dict[str, str]) -> dict[str, str]:
    """Return the parameters, with encoded and split ones (RFC 2231) joined."""
    whole = {name: value for name, value in sent.items() if "*" not in name}
    for name in {name.partition("*")[0] for name in sent if "*" in name}:
        encoded = sent.get(f"{name}*")
        text = _pieces(sent, name) if encoded is None else _decoded(encoded)
        if text is not None:
            whole[name] = text
    return whole


def _pieces(sent: dict[str, str], name: str) -> str | None:
    pieces: list[str] = []
    for number in count():
        plain, encoded = sent.get(f"{name}*{number}"), sent.get(f"{name}*{number}*")
        if plain is not None:
            pieces.append(plain)
        elif encoded is not None:
            pieces.append((_unescaped(encoded) if number else _decoded(encoded)) or "")
        else:
            break
    return "".join(pieces) if pieces else None


def _decoded(value: str) -> str | None:
    """Decode ``<charset>'<language>'<escaped text>``; return None if it is malformed."""
    charset, _, rest = value.partition("'")
    _, quote, text = rest.partition("'")
    return _unescaped(text) if quote and charset.lower() in _CHARSETS else None


def _unescaped(value: str) -> str | None:
    if _BAD_ESCAPE.search(value):
        return None
    return unquote_to_bytes(value.encode(errors="surrogateescape")).decode(errors="surrogateescape")
