"""The ways `spath` goes into JSON: ``a.b``, ``a{}.b`` through every element, ``a{0}.b`` through one."""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from headrace.local.simulators.spl.values import scalar

_PLACE: Final = re.compile(r"\{(\d*)\}$")


def at_path(source: Any, path: str) -> Any:
    """What stands there in a JSON text: a value, a list of several, or None."""
    try:
        document = orjson.loads(str(source))
    except ValueError:
        return None
    found = [scalar(value) for value in _walk(document, path.split(".")) if value is not None]
    return found[0] if len(found) == 1 else found or None


def _walk(value: Any, parts: list[str]) -> Iterator[Any]:
    if not parts:
        yield value
        return
    # A key may hold dots itself, as labels and annotations do.
    for length in range(1, len(parts) + 1):
        key, places = _places(".".join(parts[:length]))
        if isinstance(value, dict) and key in value:
            found = [value[key]]
        elif not key and places:
            found = [value]
        else:
            continue
        for place in places:
            found = [item for elements in found for item in _elements(elements, place)]
        for item in found:
            yield from _walk(item, parts[length:])
        return


def _places(key: str) -> tuple[str, list[str]]:
    """The key, and the places in lists behind it, outermost first."""
    places: list[str] = []
    while (match := _PLACE.search(key)) is not None:
        places.insert(0, match[1])
        key = key[: match.start()]
    return key, places


def _elements(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        return []
    return value if not place else value[int(place) : int(place) + 1]
