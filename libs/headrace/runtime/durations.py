"""Durations as Go writes them (``15m``, ``1h30m``, ``-0.5s``), which upstream's settings use."""

import re
from typing import Final

_UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE: Final = re.compile(rf"([+-]?)((?:{_PART.pattern})+|0)")


def duration_seconds(text: str) -> float:
    """Return the seconds of a Go duration; raises `ValueError` with the expected form."""
    match = _WHOLE.fullmatch(text)
    if match is None:
        raise ValueError(f"got {text!r}, expected a duration such as 15m, 1h30m or 500ms")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(match[2]))
    return -seconds if match[1] == "-" else seconds
