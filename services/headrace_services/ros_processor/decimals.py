"""Numbers as the shortest decimal text that reads back equal, without exponent, like ``strconv``'s 'f', -1 of Go."""

from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl


def decimals(values: npt.NDArray[np.float64]) -> list[str | None]:
    """Return the texts; None for everything but finite numbers."""
    numbers = pl.Series(np.where(np.isfinite(values), values, np.nan), nan_to_null=True)
    texts = numbers.cast(pl.String).str.strip_suffix(".0")
    written: list[str | None] = texts.to_list()
    if texts.str.contains("e", literal=True).any():
        return [f"{Decimal(text):f}" if text and "e" in text else text for text in written]
    return written
