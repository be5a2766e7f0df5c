"""Splunk's words for moments: ``now``, ``-4hours``, ``-1d@d+2h``, seconds since 1970, ISO 8601, Splunk's own form."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

_RELATIVE: Final = re.compile(r"(?:[+-]\d*[a-z]+|@[a-z]+)+")
_STEP: Final = re.compile(r"([+-])(\d*)([a-z]+)|@([a-z]+)")
_OWN_FORM: Final = "%m/%d/%Y:%H:%M:%S"
_UNITS: Final[Mapping[str, timedelta]] = {
    name: length
    for names, length in (
        ("s sec secs second seconds", timedelta(seconds=1)),
        ("m min mins minute minutes", timedelta(minutes=1)),
        ("h hr hrs hour hours", timedelta(hours=1)),
        ("d day days", timedelta(days=1)),
        ("w week weeks", timedelta(weeks=1)),
    )
    for name in names.split()
}


def parse_time(text: str, now: datetime) -> float | None:
    """Seconds since 1970; None for no text, which bounds nothing. Raises `ValueError`."""
    if not text:
        return None
    if text in {"now", "now()"}:
        return now.timestamp()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if _RELATIVE.fullmatch(text):
        seconds = now.timestamp()
        for sign, count, unit, snap in _STEP.findall(text):
            seconds = _snapped(seconds, snap) if snap else seconds + _length(sign, count, unit)
        return seconds
    try:
        moment = datetime.strptime(text, _OWN_FORM)  # noqa: DTZ007 -- below
    except ValueError:
        moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _length(sign: str, count: str, unit: str) -> float:
    return (-1 if sign == "-" else 1) * int(count or 1) * _unit(unit).total_seconds()


def _snapped(seconds: float, unit: str) -> float:
    length = _unit(unit).total_seconds()
    # A week begins on Sunday; 1970 began on a Thursday.
    shift = timedelta(days=3).total_seconds() if _unit(unit) == timedelta(weeks=1) else 0.0
    return seconds - (seconds - shift) % length


def _unit(name: str) -> timedelta:
    if name not in _UNITS:
        raise ValueError(f"no unit of time: {name}")
    return _UNITS[name]
