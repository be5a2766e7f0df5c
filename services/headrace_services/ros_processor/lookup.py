"""Texts to numbers: each distinct identity and interval of a file gets a small one."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from headrace_services.ros_processor.limits import CsvRejected

Numbers = npt.NDArray[np.int64]
T = TypeVar("T", bound=Hashable)

# Longer than any text that counts (`CsvLimits.max_image_bytes`): its beginning is judged alike, for less room.
_LONG_CHARACTERS: Final = 1025
_MAX_REMEMBERED_BYTES: Final = 16 << 20


class Distinct(Generic[T]):
    """Distinct items, numbered in the order in which they came; raises `CsvRejected` past the limit."""

    def __init__(
        self, what: str, limit: int, *, max_bytes: int = 0, weigh: Callable[[T], int] = lambda _: 0
    ) -> None:
        """``weigh`` gives an item's bytes; of all together there may be ``max_bytes``."""
        self._what = what
        self._limit = limit
        self._left_bytes = max_bytes
        self._weigh = weigh
        self._numbers: dict[T, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[T]:
        return iter(self._numbers)

    def number(self, item: T) -> int:
        """The item's number."""
        fresh = len(self._numbers)
        found = self._numbers.setdefault(item, fresh)
        if found == fresh:
            self._left_bytes -= self._weigh(item)
            if found >= self._limit:
                raise CsvRejected(f"the file has more than {self._limit} {self._what}")
            if self._left_bytes < 0:
                raise CsvRejected(f"the names of the file's {self._what} need too much memory")
        return found


class Lookup:
    """The numbers of rows' texts, worked out once for each distinct combination.

    What was worked out is a cache: it is forgotten when it has grown large.
    """

    def __init__(self, columns: Sequence[str], work_out: Callable[[tuple[str, ...]], int]) -> None:
        self._columns = list(columns)
        self._work_out = work_out
        self._known = self._nothing()

    def numbers(self, frame: pl.DataFrame) -> Numbers:
        """One number for each row."""
        texts = frame.select(self._columns)
        if texts.estimated_size() > len(texts) * len(self._columns) * _LONG_CHARACTERS:
            texts = texts.select(pl.all().str.slice(0, _LONG_CHARACTERS))
        found = self._found(texts)
        if found.null_count():
            if self._known.estimated_size() > _MAX_REMEMBERED_BYTES:
                self._known = self._nothing()
                found = self._found(texts)
            fresh = texts.filter(found.is_null()).unique(maintain_order=True).rows()
            worked_out = [(*row, self._work_out(row)) for row in fresh]
            # A frame of its own: one cut from the batch would keep all of the batch's texts.
            self._known = pl.concat([self._known, pl.DataFrame(worked_out, self._known.schema, orient="row")])
            found = self._found(texts)
        numbers: Numbers = found.to_numpy()
        return numbers

    def _found(self, texts: pl.DataFrame) -> pl.Series:
        return texts.join(self._known, on=self._columns, how="left", maintain_order="left")["number"]

    def _nothing(self) -> pl.DataFrame:
        return pl.DataFrame(schema={**dict.fromkeys(self._columns, pl.String), "number": pl.Int64})
