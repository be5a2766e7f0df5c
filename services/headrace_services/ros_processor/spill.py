"""Rows on disk, for files with more rows than memory may hold.

Each run is sorted by workload and interval, the order of the output, so that a range of that order is read from every
run without reading the rest.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from headrace.runtime.temporary import ever_fits, refused, temporary_file
from headrace_services.ros_processor.groups import Keys, Rows
from headrace_services.ros_processor.limits import CsvRejected
from headrace_services.ros_processor.order import Order

_SEGMENT_ROWS: Final = 1 << 12
_SAMPLE_ROWS: Final = 1 << 8


@dataclass(frozen=True)
class _Segment:
    offset: int
    size_bytes: int
    first_key: int
    last_key: int


class Spill:
    """A temporary file without a name, which ends with the process. Arrow IPC, compressed.

    A full disk raises `Retryable`; a disk that would be too small even if it were empty raises `CsvRejected`.
    """

    def __init__(self) -> None:
        # Without a buffer, closing the file does not repeat a write that a full disk refused.
        self._file = temporary_file(buffering=0)
        self._size_bytes = 0
        self._segments: list[_Segment] = []
        self._samples: list[Keys] = []

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def write(self, rows: Rows, order: Order) -> None:
        """Write a run; the rows of one group stay in their order."""
        positions = np.argsort(order.of(rows.keys), kind="stable")
        for start in range(0, len(rows), _SEGMENT_ROWS):
            self._write_segment(rows.take(positions[start : start + _SEGMENT_ROWS]))

    def _write_segment(self, rows: Rows) -> None:
        columns = {str(number): column for number, column in enumerate(rows.columns)}
        packed = io.BytesIO()
        pl.DataFrame({"key": rows.keys, "count": rows.counts, **columns}).write_ipc(packed, compression="lz4")
        offset = self._append(packed.getbuffer())
        self._segments.append(
            _Segment(offset, packed.getbuffer().nbytes, int(rows.keys[0]), int(rows.keys[-1]))
        )
        self._samples.append(rows.keys[::_SAMPLE_ROWS].copy())

    def _append(self, data: memoryview) -> int:
        """Append bytes; return their position."""
        offset = self._file.seek(0, io.SEEK_END)
        self._size_bytes += len(data)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            if not ever_fits(self._size_bytes):
                raise CsvRejected("the file has more rows than the disk of TMPDIR can hold") from error
            raise refused(error) from error
        return offset

    def partitions(self, order: Order, max_rows: int) -> list[tuple[int, int]]:
        """Return ranges of ``order`` of about ``max_rows`` rows each, split between workloads where possible."""
        samples = np.sort(order.of(np.concatenate(self._samples)))
        starts = [0]
        for sample in samples[:: max(1, max_rows // _SAMPLE_ROWS)][1:]:
            start = order.start_of_workload(int(sample))
            if start <= starts[-1]:
                # One workload alone fills more than a partition.
                start = int(sample)
            if start > starts[-1]:
                starts.append(start)
        return list(zip(starts, [*starts[1:], order.end], strict=True))

    def read(self, order: Order, start: int, end: int) -> Iterator[Rows]:
        """Yield the rows from ``start`` to before ``end`` of ``order``, run after run."""
        for segment in self._segments:
            first, last = order.of(np.array([segment.first_key, segment.last_key], np.uint64)).tolist()
            if first >= end or last < start:
                continue
            self._file.seek(segment.offset)
            frame = pl.read_ipc(io.BytesIO(self._file.read(segment.size_bytes)))
            key, count, *columns = [column.to_numpy() for column in frame]
            rows = Rows(key, count, columns)
            positions = order.of(key)
            yield rows.take((positions >= start) & (positions < end))
