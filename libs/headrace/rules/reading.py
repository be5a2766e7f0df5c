"""Access to values in untrusted JSON: a value of another type counts as absent."""

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

MAX_TEXT_CHARACTERS: Final = 200
MAX_NAME_CHARACTERS: Final = 253
"""The longest name that Kubernetes allows."""
_LARGEST_INTEGER: Final = 2**53
_EARLIEST_YEAR: Final = 2015
_LATEST_YEAR: Final = 2200
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z")


def at(value: Any, *path: str) -> Any:
    """Return what is at the path of keys, or None."""
    return _at(value, path)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    # The loop does not call at(*path), which would pack every path again; an archive's rules read thousands of values.
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def mapping(value: Any, *path: str) -> dict[str, Any]:
    """Return the object at the path, or an empty one."""
    found = _at(value, path)
    return found if isinstance(found, dict) else {}


def objects(value: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects of the list at the path, without its other elements."""
    found = _at(value, path)
    return [element for element in found if isinstance(element, dict)] if isinstance(found, list) else []


def text(value: Any, *path: str, limit: int = MAX_TEXT_CHARACTERS) -> str:
    """Return the string at the path, cut to ``limit`` characters, or an empty one."""
    found = _at(value, path)
    if not isinstance(found, str):
        return ""
    return found if len(found) <= limit else f"{found[: limit - 1]}…"


def name_at(value: Any, *path: str) -> str:
    """Return the name at the path, or an empty one."""
    found = _at(value, path)
    if not isinstance(found, str):
        return ""
    return found if len(found) <= MAX_NAME_CHARACTERS else f"{found[: MAX_NAME_CHARACTERS - 1]}…"


def integer(value: Any, *path: str) -> int | None:
    """Return the whole number at the path, or None."""
    found = _at(value, path)
    if isinstance(found, bool) or not isinstance(found, int) or abs(found) > _LARGEST_INTEGER:
        return None
    return found


def moment(value: Any, *path: str) -> datetime | None:
    """Return the RFC 3339 time at the path, in whole seconds, or None; implausible years are None."""
    found = _at(value, path)
    if not isinstance(found, str) or (match := _MOMENT.match(found)) is None:
        return None
    try:
        parsed = datetime.fromisoformat(match[1] + match[2]).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return parsed if _EARLIEST_YEAR <= parsed.year <= _LATEST_YEAR else None


def newest(found: Iterable[Any]) -> datetime | None:
    """Return the newest of the RFC 3339 times, or None.

    Clusters repeat a few times often, so each is parsed once.
    """
    moments = map(moment, {one for one in found if isinstance(one, str)})
    return max((one for one in moments if one is not None), default=None)


def moment_of_milliseconds(found: float) -> datetime | None:
    """Return the time that many milliseconds after 1970, in whole seconds, or None."""
    if not math.isfinite(found) or not 0 < found < _LARGEST_INTEGER:
        return None
    try:
        parsed = datetime.fromtimestamp(found // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return parsed if _EARLIEST_YEAR <= parsed.year <= _LATEST_YEAR else None


def shown(when: datetime | None) -> str | None:
    """Return a time in the form of reports."""
    return None if when is None else when.strftime("%Y-%m-%dT%H:%M:%SZ")


class Condition:
    """One condition of a Kubernetes object; values are read on demand."""

    __slots__ = ("_found",)

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    @property
    def kind(self) -> str:
        """The type of the condition."""
        return name_at(self._found, "type")

    @property
    def status(self) -> str:
        """True, False or Unknown."""
        return name_at(self._found, "status")

    @property
    def reason(self) -> str:
        """The reason, in one word."""
        return text(self._found, "reason")

    @property
    def message(self) -> str:
        """The reason, in a sentence."""
        return text(self._found, "message")

    @property
    def since(self) -> datetime | None:
        """The time of its last transition."""
        return moment(self._found, "lastTransitionTime")

    def details(self) -> dict[str, Any]:
        """Return the condition in the form of reports."""
        return {"reason": self.reason, "message": self.message, "since": shown(self.since)}


def condition(value: Any, kind: str, *statuses: str) -> Condition | None:
    """Return the object's last condition of a type, or None; if statuses are given, it must have one of them."""
    for found in reversed(objects(value, "status", "conditions")):
        if found.get("type") == kind:
            return Condition(found) if not statuses or found.get("status") in statuses else None
    return None
