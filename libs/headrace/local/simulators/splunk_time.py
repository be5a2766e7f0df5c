"""Splunk's words for moments: ``now``, ``-4hours``, ``-1d@d``, seconds since 1970, ISO 8601."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

_RELATIVE: Final = re.compile(r"(?:([+-])(\d*)([a-z]+))?(?:@([a-z]+))?")
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
    if text == "now":
        return now.timestamp()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    match = _RELATIVE.fullmatch(text)
    if match is None:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    sign, count, unit, snap = match.groups()
    for name in (unit, snap):
        if name is not None and name not in _UNITS:
            raise ValueError(f"no unit of time: {name}")
    if unit:
        now += (-1 if sign == "-" else 1) * int(count or 1) * _UNITS[unit]
    seconds = now.timestamp()
    if snap:
        length = _UNITS[snap].total_seconds()
        # A week begins on Sunday; 1970 began on a Thursday.
        shift = timedelta(days=3).total_seconds() if _UNITS[snap] == timedelta(weeks=1) else 0.0
        seconds -= (seconds - shift) % length
    return seconds
