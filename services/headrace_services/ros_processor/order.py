"""The order of workloads, intervals and containers in the output: that of their texts and times."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from headrace_services.ros_processor.groups import Keys, parted
from headrace_services.ros_processor.row_checks import Identity, Interval

WORKLOAD_BITS: Final = 32
_Ranks = npt.NDArray[np.int64]


class Order:
    """The ranks of all items so far; later items never change the order of earlier ones."""

    def __init__(self, identities: Iterable[Identity], intervals: Iterable[Interval]) -> None:
        known = list(identities)
        self.identity_ranks: _Ranks = _ranks(known)
        self.workload_ranks: _Ranks = _dense_ranks([identity.owner for identity in known])
        self.interval_ranks: _Ranks = _ranks(list(intervals))
        workloads = int(self.workload_ranks.max(initial=-1)) + 1
        self.end = workloads << WORKLOAD_BITS

    def of(self, keys: Keys) -> _Ranks:
        """Return the positions of groups: by workload, then interval."""
        identity, interval = parted(keys)
        return (self.workload_ranks[identity] << WORKLOAD_BITS) | self.interval_ranks[interval]

    def start_of_workload(self, position: int) -> int:
        """Return the first position of the workload at ``position``."""
        return position >> WORKLOAD_BITS << WORKLOAD_BITS

    def sorted(self, keys: Keys) -> npt.NDArray[np.int64]:
        """Return the indexes of groups sorted by workload, interval, container, image."""
        identity, _ = parted(keys)
        return np.lexsort((self.identity_ranks[identity], self.of(keys)))


def _ranks(items: Sequence[Any]) -> _Ranks:
    ranks = np.empty(len(items), np.int64)
    ranks[sorted(range(len(items)), key=items.__getitem__)] = np.arange(len(items))
    return ranks


def _dense_ranks(items: Sequence[Any]) -> _Ranks:
    rank = {item: number for number, item in enumerate(sorted(set(items)))}
    return np.array([rank[item] for item in items], np.int64)
