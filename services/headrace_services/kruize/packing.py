"""Measurements as bytes: one chunk of fixed size per container and interval, so that a run of chunks is an array.

A chunk: the container's number (int32), interval start and end (int64, milliseconds since the epoch), values (float64
of shape (metrics, 4), NaN where none was sent), units (uint8 of shape (metrics,)); little-endian, without padding.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, Final

import numpy as np

from headrace.contracts.kruize import VALUES
from headrace.contracts.ros import ExperimentType
from headrace_services.kruize.series import METRICS, Series

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NUMBER: Final = Struct("<i")
_BODIES: Final = {
    kind: Struct(f"<qq{len(metrics) * len(VALUES)}d{len(metrics)}B") for kind, metrics in METRICS.items()
}
_DTYPES: Final[dict[ExperimentType, np.dtype[Any]]] = {
    kind: np.dtype(
        [
            ("container", "<i4"),
            ("start_ms", "<i8"),
            ("end_ms", "<i8"),
            ("values", "<f8", (len(metrics), len(VALUES))),
            ("units", "u1", (len(metrics),)),
        ]
    )
    for kind, metrics in METRICS.items()
}


def milliseconds(moment: datetime) -> int:
    """Return the milliseconds since the epoch."""
    return (moment - _EPOCH) // _MILLISECOND


def moment_of(since_epoch_ms: int) -> datetime:
    """Return the time from milliseconds since the epoch."""
    return _EPOCH + since_epoch_ms * _MILLISECOND


def body(
    kind: ExperimentType, start_ms: int, end_ms: int, values: Sequence[float], units: Sequence[int]
) -> bytes:
    """Return a chunk without the container's number; ``values`` is flat."""
    return _BODIES[kind].pack(start_ms, end_ms, *values, *units)


def chunk(container: int, packed: bytes) -> bytes:
    """Return a whole chunk."""
    return _NUMBER.pack(container) + packed


def unpacked(kind: ExperimentType, chunks: bytes) -> dict[int, Series]:
    """Return the series of each container in a run of chunks that is sorted by interval ends."""
    rows = np.frombuffer(chunks, _DTYPES[kind])
    numbers = rows["container"]
    found = np.unique(numbers)
    return {
        int(number): _series(kind, rows if len(found) == 1 else rows[numbers == number]) for number in found
    }


def _series(kind: ExperimentType, rows: "np.ndarray[Any, Any]") -> Series:
    return Series(
        kind=kind,
        starts_ms=np.ascontiguousarray(rows["start_ms"]),
        ends_ms=np.ascontiguousarray(rows["end_ms"]),
        values=np.ascontiguousarray(rows["values"]),
        units=np.ascontiguousarray(rows["units"]),
    )
