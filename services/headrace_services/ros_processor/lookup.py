"""Maps texts to numbers: each distinct identity and interval of a file has a small one."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from headrace_services.ros_processor.limits import CsvRejected

Numbers = npt.NDArray[np.int64]
T = TypeVar("T", bound=Hashable)

# Longer than any valid text (`CsvLimits.max_image_bytes`): a prefix of this length gets the same verdict with less
# memory.
_LONG_CHARACTERS: Final = 1025
_MAX_REMEMBERED_BYTES: Final = 16 << 20


class Distinct(Generic[T]):
    """Distinct items, numbered in the order of their arrival; raises `CsvRejected` beyond the limit."""

    def __init__(
        self, what: str, limit: int, *, max_bytes: int = 0, weigh: Callable[[T], int] = lambda _: 0
    ) -> None:
        """``weigh`` returns the bytes of an item; all together may have ``max_bytes``."""
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
        """Return the number of an item."""
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
    """The numbers of rows, computed once for each distinct combination of their texts.

    The results are cached; a cache that has grown too large is cleared.
    """

    def __init__(self, columns: Sequence[str], work_out: Callable[[tuple[str, ...]], int]) -> None:
        self._columns = list(columns)
        self._work_out = work_out
        self._known = self._nothing()

    def numbers(self, frame: pl.DataFrame) -> Numbers:
        """Return one number for each row."""
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
            # A copy, because a slice of the batch would keep all of the batch's texts in memory.
            self._known = pl.concat([self._known, pl.DataFrame(worked_out, self._known.schema, orient="row")])
            found = self._found(texts)
        numbers: Numbers = found.to_numpy()
        return numbers

    def _found(self, texts: pl.DataFrame) -> pl.Series:
        return texts.join(self._known, on=self._columns, how="left", maintain_order="left")["number"]

    def _nothing(self) -> pl.DataFrame:
        return pl.DataFrame(schema={**dict.fromkeys(self._columns, pl.String), "number": pl.Int64})
