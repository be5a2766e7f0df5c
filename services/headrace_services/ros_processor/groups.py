"""Combines rows into groups; sums are exactly those of adding the rows of a group one after the other.

A missing number is NaN. It makes a sum and a mean missing, but a minimum and a maximum only if the first row has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from headrace_services.ros_processor.columns import Reduction

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]

_INTERVAL_BITS: Final = np.uint64(32)
_INTERVAL_MASK: Final = np.uint64((1 << 32) - 1)


def joined(upper: Positions, lower: Positions) -> Keys:
    """Combine two small numbers into one: the key of a group, from an identity and an interval."""
    return (upper.astype(np.uint64) << _INTERVAL_BITS) | lower.astype(np.uint64)


def parted(keys: Keys) -> tuple[Positions, Positions]:
    """Split a key into identity and interval."""
    return (keys >> _INTERVAL_BITS).astype(np.int64), (keys & _INTERVAL_MASK).astype(np.int64)


@dataclass
class Rows:
    """Rows or groups: their keys, the number of rows in each, and their numbers by column."""

    keys: Keys
    counts: Floats
    columns: list[Floats]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, positions: Positions | slice | npt.NDArray[np.bool_]) -> "Rows":
        """Return the selected rows."""
        return Rows(self.keys[positions], self.counts[positions], [c[positions] for c in self.columns])


class Room:
    """Rows in one block of memory, which is returned to the system as a whole. Rows are combined in place."""

    def __init__(self, reductions: Sequence[Reduction], capacity: int) -> None:
        self._reductions = reductions
        self._block = np.empty((len(reductions) + 2, capacity))
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def capacity(self) -> int:
        """The number of rows that fit."""
        return self._block.shape[1]

    @property
    def full(self) -> bool:
        """Whether no further row fits."""
        return self._used == self.capacity

    @property
    def rows(self) -> Rows:
        """The rows in the block, valid until the block changes."""
        keys, counts, *columns = self._block[:, : self._used]
        return Rows(keys.view(np.uint64), counts, columns)

    def clear(self) -> None:
        """Remove all rows."""
        self._used = 0

    def add(self, rows: Rows) -> int:
        """Add as many rows as fit; return their number."""
        taken = min(len(rows), self.capacity - self._used)
        into = slice(self._used, self._used + taken)
        self._block[0, into] = rows.keys[:taken].view(np.float64)
        self._block[1, into] = rows.counts[:taken]
        for room, column in zip(self._block[2:], rows.columns, strict=True):
            room[into] = column[:taken]
        self._used += taken
        return taken

    def grow(self, limit: int) -> None:
        """Double the capacity, up to ``limit`` rows."""
        block = np.empty((self._block.shape[0], min(2 * self.capacity, limit)))
        block[:, : self._used] = self._block[:, : self._used]
        self._block = block

    def fold(self) -> None:
        """Combine the rows of each key into one; means remain sums until `Sorted.part`.

        A combined row precedes later rows, so it can be combined again.
        """
        rows = self.rows
        keys, first, group = np.unique(rows.keys, return_index=True, return_inverse=True)
        rows.counts[: len(keys)] = _reduced(rows.counts, "sum", group, first)
        for column, reduction in zip(rows.columns, self._reductions, strict=True):
            column[: len(keys)] = _reduced(column, reduction, group, first)
        rows.keys[: len(keys)] = keys
        self._used = len(keys)


class Sorted:
    """Groups in a given order, without a sorted copy."""

    def __init__(self, groups: Rows, positions: Positions, reductions: Sequence[Reduction]) -> None:
        self._groups = groups
        self._positions = positions
        self._reductions = reductions
        self.keys = groups.keys[positions]

    def __len__(self) -> int:
        return len(self._positions)

    def part(self, start: int, end: int) -> Rows:
        """Return a part of the groups, with means, and without negative zeros."""
        rows = self._groups.take(self._positions[start:end])
        for column, reduction in zip(rows.columns, self._reductions, strict=True):
            if reduction == "mean":
                np.divide(column, rows.counts, out=column)
            np.add(column, 0.0, out=column)
        return rows


def _reduced(column: Floats, reduction: Reduction, group: Positions, first: Positions) -> Floats:
    if reduction in {"mean", "sum"}:
        # bincount adds in the order of the rows; numpy's other sums and polars' do not guarantee an order.
        return np.bincount(group, weights=column, minlength=len(first)).astype(np.float64, copy=False)
    reduced = column[first]
    missing = np.isnan(reduced)
    (np.fmin if reduction == "min" else np.fmax).at(reduced, group, column)
    reduced[missing] = np.nan
    return reduced
