"""JSON that strangers send: judged by its bytes before a parser makes objects of it.

A parser's cost is not the text's: ``[[],[],…`` takes thirty times its bytes in memory, and what is nested deeply
enough exhausts the stack of whoever writes it again. Both are seen in the bytes for a fraction of that.
"""

import re
from typing import Any, Final

import orjson

MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 64

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_ALIKE: Final = bytes.maketrans(b"{}", b"[]")
_NO_STRUCTURE: Final = bytes(sorted(set(range(256)) - set(b'[]{},"\\')))


class Unreadable(ValueError):
    """The text is no JSON that we take; says what it is instead (``not JSON: …``) without repeating it."""


def check_json(text: bytes, *, max_values: int = MAX_VALUES, max_depth: int = MAX_DEPTH) -> None:
    """Raise `Unreadable` for a text of more values, or nested deeper, than that. It may still be no JSON."""
    if text.count(b"[") + text.count(b"{") <= max_depth and text.count(b",") < max_values - max_depth:
        return
    structure = _structure(text)
    brackets = structure.replace(b",", b"")
    if len(structure) - len(brackets) + brackets.count(b"[") >= max_values:
        raise Unreadable(f"of more than {max_values} values")
    for _ in range(max_depth):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise Unreadable(f"nested more than {max_depth} deep")


def load_json(text: bytes, *, max_values: int = MAX_VALUES, max_depth: int = MAX_DEPTH) -> Any:
    """Decode; raises `Unreadable`, also for numbers beyond a double."""
    check_json(text, max_values=max_values, max_depth=max_depth)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error}") from None


def _structure(text: bytes) -> bytes:
    """The commas and brackets outside strings, braces as brackets."""
    # Strings without a comma, bracket or escape are pairs of quotes now. One with any leaves a quote behind.
    found = text.translate(_ALIKE, _NO_STRUCTURE).replace(b'""', b"")
    if b'"' in found or b"\\" in found:
        found = _STRING.sub(b"", text).translate(_ALIKE, _NO_STRUCTURE)
    return found
