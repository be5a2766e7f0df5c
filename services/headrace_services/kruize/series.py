"""The measurements of one container (or namespace) in memory: the output of storage, the input of the computation."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from headrace.contracts.kruize import CONTAINER_METRICS, NAMESPACE_METRICS, VALUES, Metric
from headrace.contracts.ros import ExperimentType

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

METRICS: Final[dict[ExperimentType, tuple[Metric, ...]]] = {
    "container": CONTAINER_METRICS,
    "namespace": NAMESPACE_METRICS,
}
# Every unit that updateResults accepts; the position is its code, 0 for none.
UNITS: Final = (
    "", "cores", "bytes", "m", "percentage", "Bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "Ki", "Mi", "Gi",
    "Ti", "Pi", "Ei", "kB", "KB", "MB", "GB", "TB", "PB", "EB", "K", "k", "M", "G", "T", "P", "E",
)  # fmt: skip
_POSITIONS: Final = {
    kind: {metric.name: position for position, metric in enumerate(metrics)}
    for kind, metrics in METRICS.items()
}


@dataclass(frozen=True)
class Series:
    """``n`` intervals in the order of their ends.

    ``starts_ms`` and ``ends_ms``: int64 of shape (n,), milliseconds since the epoch. ``values``: float64 of shape (n,
    metrics, 4), the last axis as `VALUES`, NaN where a value was not sent; metrics as in `METRICS` of ``kind``.
    ``units``: uint8 of shape (n, metrics), codes in `UNITS`.
    """

    kind: ExperimentType
    starts_ms: Integers
    ends_ms: Integers
    values: Floats
    units: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ends_ms)

    def column(self, metric: str, value: str) -> Floats:
        """Return one value of one metric, of shape (n,)."""
        found: Floats = self.values[:, self.position(metric), VALUES.index(value)]
        return found

    def position(self, metric: str) -> int:
        """Return the position of a metric on the second axis; raises ``KeyError`` for an unknown one."""
        return _POSITIONS[self.kind][metric]

    def with_distinct_ends(self) -> "Series":
        """Return only the last of intervals with the same end, which identifies an interval in recommendations."""
        last = np.append(self.ends_ms[1:] != self.ends_ms[:-1], True)
        if last.all():
            return self
        return Series(
            self.kind, self.starts_ms[last], self.ends_ms[last], self.values[last], self.units[last]
        )
