"""Kubernetes' selectors: which objects a list holds."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_TERM: Final = re.compile(r"(?:[^,(]|\([^)]*\))+")
_SET: Final = re.compile(r"\s*([^\s,=!()]+)\s+(in|notin)\s*\(([^)]*)\)\s*")
_EQUAL: Final = re.compile(r"\s*([^\s,=!()]+)\s*(==|=|!=)\s*([^\s,=!()]*)\s*")
_THERE: Final = re.compile(r"\s*(!?)\s*([^\s,=!()]+)\s*")

Look = Callable[[str], Any]


class Selector:
    """``k=v``, ``k==v``, ``k!=v``, ``k``, ``!k``, ``k in (v,w)``, ``k notin (v)``, joined by commas.

    Raises `ValueError` for anything else.
    """

    def __init__(self, text: str) -> None:
        self._terms = [_term(part) for part in _TERM.findall(text)]

    def matches(self, look: Look) -> bool:
        """Whether all of it is so of what ``look`` finds by name, None where there is nothing."""
        return all(term(look) for term in self._terms)


def labels(item: Mapping[str, Any]) -> Look:
    """By which a selector of labels looks at an object."""
    return (item["metadata"].get("labels") or {}).get


def _term(text: str) -> Callable[[Look], bool]:
    if match := _SET.fullmatch(text):
        values = {part.strip() for part in match[3].split(",")}
        return _one_of(match[1], values, wanted=match[2] == "in")
    if match := _EQUAL.fullmatch(text):
        return _one_of(match[1], {match[3]}, wanted=match[2] != "!=")
    if match := _THERE.fullmatch(text):
        name, wanted = match[2], not match[1]
        return lambda look: (look(name) is not None) is wanted
    raise ValueError(f"unable to parse requirement: {text!r}")


def _one_of(name: str, values: set[str], *, wanted: bool) -> Callable[[Look], bool]:
    return lambda look: (look(name) in values) is wanted
