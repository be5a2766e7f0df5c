"""Checks of the rows of a usage CSV: which rows are valid, and the container or namespace and interval of each.

Source: RedHatInsights/ros-ocp-backend (internal/utils/aggregator.go).
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NamedTuple

from headrace_services.ros_processor.limits import CsvLimits

MALFORMED: Final = "malformed row"
NO_USAGE: Final = "usage is missing, negative or not a number"
NO_OWNER: Final = "no owner"
NO_TYPE: Final = "no workload type"
OTHER_TYPE: Final = "workload type is not supported"
NO_NAMESPACE: Final = "no namespace"
LONG_NAME: Final = "a name is too long"
BAD_TIME: Final = "the interval cannot be read"
BACKWARDS: Final = "the interval does not end after its start"
TOO_OLD: Final = "the interval lies before 2000"
FUTURE: Final = "the interval lies in the future"

_UNSET: Final = {"", "<none>"}
_MISSING: Final = {"NA", "NaN", "<nil>"}
_OWNERS_FOR_WORKLOADS: Final = {"replicaset", "replicationcontroller"}
_TYPES: Final = {
    "daemonset", "deployment", "deploymentconfig", "replicaset", "replicationcontroller", "statefulset",
}  # fmt: skip
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r" ([+-])([0-9]{2})([0-9]{2}) (?:[A-Z]{3,5}|[+-][0-9]{2}(?:[0-9]{2})?)"
)
_OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_CLOCK_SKEW: Final = timedelta(days=1)


class Identity(NamedTuple):
    """The container or namespace of a row; with the interval it is the key by which rows are aggregated.

    The order of the fields is the order of all output.
    """

    namespace: str
    object_type: str
    object_name: str
    container: str
    image: str
    workload: str

    @property
    def owner(self) -> tuple[str, str, str]:
        """The workload: namespace, object type, object name."""
        return self[:3]


class Interval(NamedTuple):
    """The start and end of an interval, in UTC."""

    start: datetime
    end: datetime


def container_identity(texts: tuple[str, ...], limits: CsvLimits) -> Identity | str:
    """Return the identity of a container row, or why the row is dropped; ``texts`` as in `CONTAINER.identity`."""
    namespace, workload, workload_type, owner_kind, owner_name, container, image = map(_text, texts)
    if owner_kind in _UNSET or owner_name in _UNSET:
        return NO_OWNER
    if workload_type in _UNSET:
        return NO_TYPE
    object_type, object_name = workload_type.lower(), workload
    if object_type not in _TYPES:
        return OTHER_TYPE
    if workload in _UNSET and owner_kind.lower() in _OWNERS_FOR_WORKLOADS:
        object_type, object_name = owner_kind.lower(), owner_name
    if _too_long(limits.max_name_bytes, namespace, object_name, container):
        return LONG_NAME
    if _too_long(limits.max_image_bytes, image):
        return LONG_NAME
    return Identity(namespace, object_type, object_name, container, image, workload)


def namespace_identity(texts: tuple[str, ...], limits: CsvLimits) -> Identity | str:
    """Return the identity of a namespace row, or why the row is dropped."""
    namespace = _text(texts[0])
    if namespace in _UNSET:
        return NO_NAMESPACE
    if _too_long(limits.max_name_bytes, namespace):
        return LONG_NAME
    return Identity(namespace, "namespace", namespace, "", "", "")


def interval(texts: tuple[str, ...], now: datetime) -> Interval | str:
    """Return the interval from its two texts, or why the row is dropped."""
    start, end = map(_moment, texts)
    if start is None or end is None:
        return BAD_TIME
    if start < _OLDEST:
        return TOO_OLD
    if end > now + _CLOCK_SKEW:
        return FUTURE
    return Interval(start, end) if start < end else BACKWARDS


def _text(cell: str) -> str:
    return "" if cell in _MISSING else cell


def _too_long(max_bytes: int, *names: str) -> bool:
    return any(len(name) * 4 > max_bytes and len(name.encode()) > max_bytes for name in names)


def _moment(text: str) -> datetime | None:
    """Parse ``2023-06-02 00:15:00 +0000 UTC``."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    *numbers, fraction, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    microsecond = int((fraction or "").ljust(6, "0")[:6])
    try:
        year, month, day, hour, minute, second = map(int, numbers)
        local = datetime(year, month, day, hour, minute, second, microsecond, timezone(offset))
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
