"""Reads usage CSVs as they arrive: splits them at the ends of records, checks them, and parses a batch at a time.

A batch in which every line has the right number of plain fields goes to the parser unchanged. Any other batch is first
read by the csv module, which detects malformed rows, and is written again without them.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterator
from typing import Final

import numpy as np
import polars as pl

from headrace_services.ros_processor.columns import FileKind, kind_of
from headrace_services.ros_processor.limits import CsvLimits, CsvRejected

_NEWLINE: Final = 10
_QUOTE: Final = 34
_COMMA: Final = 44
_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


async def record_batches(chunks: AsyncIterator[bytes], limits: CsvLimits) -> AsyncIterator[bytes]:
    """Yield whole records, about ``batch_bytes`` at a time, for chunks of any size."""
    buffer, capacity = bytearray(), limits.batch_bytes
    async for chunk in chunks:
        position = 0
        while position < len(chunk):
            part = chunk[position : position + capacity - len(buffer)]
            buffer += part
            position += len(part)
            if len(buffer) < capacity:
                break
            if end := _last_record_end(buffer):
                batch = bytes(memoryview(buffer)[:end])
                del buffer[:end]
                capacity = limits.batch_bytes
                yield batch
            elif (capacity := len(buffer) + limits.batch_bytes) > limits.max_record_bytes:
                what = "longer than" if buffer.count(b'"') % 2 == 0 else "in quotes that do not end within"
                raise CsvRejected(f"a record is {what} {limits.max_record_bytes} bytes")
    if buffer:
        yield bytes(buffer) if buffer.endswith(b"\n") else bytes(buffer) + b"\n"


def _last_record_end(buffer: bytearray) -> int:
    """Return the end of the last whole record, 0 without one: a newline after an even number of quotes."""
    if b'"' not in buffer:
        return buffer.rfind(b"\n") + 1
    octets = np.frombuffer(buffer, np.uint8)
    newlines = np.flatnonzero(octets == _NEWLINE)
    quotes_before = np.searchsorted(np.flatnonzero(octets == _QUOTE), newlines)
    ends = newlines[quotes_before % 2 == 0]
    return int(ends[-1]) + 1 if ends.size else 0


class Reader:
    """Parses the batches of one file in their order. ``rows`` counts the malformed ones too."""

    def __init__(self, limits: CsvLimits) -> None:
        self._limits = limits
        self._kind: FileKind | None = None
        self._schema: dict[str, pl.DataType] = {}
        self._read: list[int] = []
        self._last = ""
        self._first_malformed = ""
        self.rows = 0
        self.malformed = 0

    @property
    def kind(self) -> FileKind:
        """The kind of file; raises `CsvRejected` before the header was read."""
        if self._kind is None:
            raise CsvRejected("the file is empty")
        return self._kind

    def frame(self, batch: bytes) -> pl.DataFrame:
        """Return the well-formed rows of a batch, by column name; texts are never null, invalid numbers are null."""
        if self._kind is None:
            batch = self._read_header(batch)
        self._check_text(batch)
        if b"\r" in batch:
            batch = batch.replace(b"\r\n", b"\n")
        frame = self._parse(batch, quoted=False) if self._seems_regular(batch) else None
        # The parser completes a row that lacks its last field.
        if frame is None or (_has_gap(frame[self._last]) and not self._has_even_rows(batch)):
            frame = self._parse(self._repaired(batch), quoted=True)
        self.rows += frame.height
        if self.rows > self._limits.max_rows:
            raise CsvRejected(f"the file has more than {self._limits.max_rows} rows")
        return frame

    def check_malformed(self) -> None:
        """Raise `CsvRejected` if too many rows were malformed."""
        if self.malformed > self._limits.max_malformed_share * self.rows:
            raise CsvRejected(
                f"{self.malformed} of {self.rows} rows are malformed, the first: {self._first_malformed}"
            )

    def _read_header(self, batch: bytes) -> bytes:
        if batch.startswith(_UTF16):
            raise CsvRejected("the file is UTF-16, not UTF-8")
        batch = batch.removeprefix(_BOM)
        line, _, rest = batch.partition(b"\n")
        header = self._names(line)
        if not any(name.strip() for name in header):
            raise CsvRejected("the file is empty" if not rest else "the file has no header")
        self._kind = kind_of(header)
        read = set(self._kind.read)
        numbers = set(self._kind.numbers)
        self._schema = {
            (name if name in read else f"unread {n}"): pl.Float64() if name in numbers else pl.String()
            for n, name in enumerate(header)
        }
        self._last = [*self._schema][-1]
        self._read = [n for n, name in enumerate(self._schema) if name in read or name == self._last]
        return rest

    def _names(self, line: bytes) -> list[str]:
        """Return the header's columns; their number and length are checked before anything is built from them."""
        if len(line) > self._limits.max_header_bytes:
            raise CsvRejected(f"the header is longer than {self._limits.max_header_bytes} bytes")
        if line.count(b",") >= self._limits.max_columns:
            raise CsvRejected(f"the header has more than {self._limits.max_columns} columns")
        self._check_text(line)
        try:
            return next(csv.reader([line.decode()], strict=True), [])
        except csv.Error as error:
            raise CsvRejected(f"the header cannot be read: {error}") from error

    def _check_text(self, batch: bytes) -> None:
        if batch.isascii():
            return
        try:
            batch.decode()
        except UnicodeDecodeError as error:
            line = self.rows + 1 + batch.count(b"\n", 0, error.start) + (self._kind is not None)
            raise CsvRejected(
                f"the file is not UTF-8: byte {batch[error.start]:#x} in line {line}"
            ) from error

    def _seems_regular(self, batch: bytes) -> bool:
        """Return whether lines have the right number of fields on average and contain no quotes or unusual characters.

        If so, either all lines are right or one lacks its last field. Checking each line takes twice as long.
        """
        if b'"' in batch or b"\0" in batch or b"\r" in batch:
            return False
        octets = np.frombuffer(batch, np.uint8)
        commas = len(self._schema) - 1
        is_newline = octets == _NEWLINE
        lines = np.count_nonzero(is_newline)
        if np.count_nonzero(octets == _COMMA) != commas * lines:
            return False
        if batch.count(b",", 0, batch.find(b"\n")) != commas * bool(batch):
            return False
        line_ends = np.flatnonzero(is_newline)
        return int(np.diff(line_ends, prepend=-1).max(initial=0)) <= self._limits.max_field_bytes

    def _has_even_rows(self, batch: bytes) -> bool:
        """Return whether every line has the right number of fields."""
        octets = np.frombuffer(batch, np.uint8)
        is_newline = octets == _NEWLINE
        field_ends = np.flatnonzero(is_newline | (octets == _COMMA))
        return bool(is_newline[field_ends[len(self._schema) - 1 :: len(self._schema)]].all())

    def _repaired(self, batch: bytes) -> bytes:
        """Return the well-formed rows as regular CSV."""
        output = io.StringIO(newline="")
        csv.writer(output, lineterminator="\n").writerows(self._well_formed(batch.decode()))
        return output.getvalue().encode()

    def _well_formed(self, text: str) -> Iterator[list[str]]:
        csv.field_size_limit(max(csv.field_size_limit(), self._limits.max_field_bytes))
        reader = csv.reader(io.StringIO(text, newline="\n"), strict=True)
        width, number = len(self._schema), self.rows + 1
        while True:
            number += 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._note(f"line {number}: {error}")
                continue
            if not row:
                number -= 1
            elif len(row) != width:
                self._note(f"line {number} has {len(row)} fields instead of {width}")
            elif fault := self._fault(row):
                self._note(f"line {number} has {fault}")
            else:
                yield row

    def _fault(self, row: list[str]) -> str:
        if any(len(field.encode()) > self._limits.max_field_bytes for field in row):
            return f"a field of more than {self._limits.max_field_bytes} bytes"
        return "a field with a NUL" if any("\0" in field for field in row) else ""

    def _note(self, malformed: str) -> None:
        self.rows += 1
        self.malformed += 1
        self._first_malformed = self._first_malformed or malformed

    def _parse(self, batch: bytes, *, quoted: bool) -> pl.DataFrame:
        if not batch:
            return pl.DataFrame(schema=self._schema)
        return pl.read_csv(
            batch,
            has_header=False,
            schema=self._schema,
            columns=self._read,
            quote_char='"' if quoted else None,
            empty_string_is_null=False,
            ignore_errors=True,
        )


def _has_gap(column: pl.Series) -> bool:
    return column.null_count() > 0 or (column.dtype == pl.String and bool((column == "").any()))
