"""Checks of untrusted JSON on its bytes, before a parser builds objects from it.

Parsing can cost far more than the text's size: ``[[],[],…`` takes thirty times its bytes in memory, and deep nesting
exhausts the stack of later writers. Counting brackets and commas finds both at a fraction of that cost.
"""

import gc
from itertools import accumulate
from typing import Any, Final

import orjson

MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 64

_ALIKE: Final = bytes.maketrans(b"{}", b"[]")
_NO_STRUCTURE: Final = bytes(sorted(set(range(256)) - set(b'[]{},"')))
# The change of depth at a bracket, as signed bytes.
_STEPS: Final = bytes.maketrans(b"[]", b"\x01\xff")


class Unreadable(ValueError):
    """The text is not acceptable JSON; the message gives the reason (``not JSON: …``) without repeating the text."""


def check_json(text: bytes, *, max_values: int = MAX_VALUES, max_depth: int = MAX_DEPTH) -> None:
    """Raise `Unreadable` for too many values or too deep nesting; the text may still not be JSON."""
    if text.count(b"[") + text.count(b"{") <= max_depth and text.count(b",") < max_values - max_depth:
        return
    structure = _structure(text)
    brackets = structure.replace(b",", b"")
    if len(structure) - len(brackets) + brackets.count(b"[") >= max_values:
        raise Unreadable(f"of more than {max_values} values")
    if max(accumulate(memoryview(brackets.translate(_STEPS)).cast("b")), default=0) > max_depth:
        raise Unreadable(f"nested more than {max_depth} deep")


def load_json(text: bytes, *, max_values: int = MAX_VALUES, max_depth: int = MAX_DEPTH) -> Any:
    """Decode; raises `Unreadable`, also for numbers that exceed a double."""
    check_json(text, max_values=max_values, max_depth=max_depth)
    collecting = gc.isenabled()
    # Parsing creates no cycles, but on a large text the garbage collector would scan all new objects repeatedly.
    gc.disable()
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error}") from None
    finally:
        if collecting:
            gc.enable()


def _structure(text: bytes) -> bytes:
    """Return only the commas and brackets outside of strings, with braces as brackets."""
    # Without escapes every quote begins or ends a string; JSON has no backslash outside of strings.
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    # After the translation a string without commas and brackets is a pair of quotes.
    found = text.translate(_ALIKE, _NO_STRUCTURE).replace(b'""', b"")
    return b"".join(found.split(b'"')[::2]) if b'"' in found else found
