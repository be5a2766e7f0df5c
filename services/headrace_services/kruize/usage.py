"""The usage of each interval, and the recommended amounts for a window.

Source: kruize/autotune (GenericRecommendationModel, CommonUtils.percentile). Float operations are in upstream's order,
so that numbers are equal to the last bit.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from headrace.contracts.kruize import (
    CPU_THROTTLE,
    CPU_USAGE,
    MEMORY_RSS,
    MEMORY_USAGE,
    NAMESPACE_CPU_THROTTLE,
    NAMESPACE_CPU_USAGE,
    NAMESPACE_MEMORY_RSS,
    NAMESPACE_MEMORY_USAGE,
    NAMESPACE_TOTAL_PODS,
)
from headrace_services.kruize.series import UNITS, Floats, Series

ONE_CORE: Final = 1.0
MEMORY_USAGE_BUFFER: Final = 0.2
MEMORY_SPIKE_BUFFER: Final = 0.05
# Upstream's number of pods is a 32-bit integer; larger quotients become its maximum.
MOST_PODS: Final = 2**31 - 1


class Units:
    """The units of one metric in each interval."""

    def __init__(self, codes: npt.NDArray[np.uint8]) -> None:
        self._codes = codes.tobytes()

    def first(self, begin: int, end: int) -> str:
        """Return the first unit in the intervals from ``begin`` to before ``end``; empty if there is none."""
        given = self._codes[begin:end].lstrip(b"\0")
        return UNITS[given[0]] if given else ""


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage per interval, in arrays of shape (n,): highest and lowest use of a pod, memory spike, pods.

    Numbers are in the units that were sent; a value that was not sent counts as 0.
    """

    cpu_high: Floats
    cpu_low: Floats
    memory_high: Floats
    memory_low: Floats
    memory_spike: Floats
    pods: Floats
    cpu_units: Units
    memory_units: Units


def usage_of(series: Series) -> Usage:
    """Return the usage of a series, by its kind."""
    return _of_container(series) if series.kind == "container" else _of_namespace(series)


def percentile(percent: int, ordered: Floats) -> float:
    """Return the value of the nearest rank; ``ordered`` ascends and is not empty."""
    return float(ordered[math.floor(percent / 100 * (len(ordered) - 1) + 0.5)])


def cpu_amount(percent: int, ordered: Floats) -> float:
    """Return the amount for the highest uses of a window: the highest if it is below one core, else the percentile."""
    highest = float(ordered[-1])
    return highest if highest < ONE_CORE else percentile(percent, ordered)


def memory_amount(highest: float, spike: float) -> float:
    """Return the smaller of two amounts: the highest use plus a fifth, or plus the greatest spike with a twentieth."""
    by_use = highest + highest * MEMORY_USAGE_BUFFER
    by_spike = highest + (spike + spike * MEMORY_SPIKE_BUFFER)
    return min(by_use, by_spike)


def whole_pods(pods: float) -> int:
    """Return the number rounded up, limited to upstream's range."""
    return MOST_PODS if pods >= MOST_PODS else math.ceil(pods)


def _of_container(series: Series) -> Usage:
    metrics = [series.position(metric.name) for metric in (CPU_USAGE, CPU_THROTTLE, MEMORY_USAGE, MEMORY_RSS)]
    cpu, throttle, memory, rss = _given(series, metrics)
    cpu_sum, cpu_avg, cpu_min, _ = cpu
    throttle_sum, _, throttle_min, _ = throttle
    memory_sum, memory_avg, memory_min, memory_max = memory
    pods = _quotient(cpu_sum, cpu_avg, cpu_avg != 0)
    # Without CPU usage the number of pods follows from the memory's sum and average.
    known = np.where(pods == 0, _quotient(memory_sum, memory_avg, memory_avg != 0), pods)
    total = _highest(cpu) + _highest(throttle)
    cpu_per_pod = _quotient(cpu_sum + throttle_sum, known, (total >= ONE_CORE) & (known > 0))
    memory_per_pod = _quotient(memory_sum, known, known > 0)
    memory_high = np.maximum(memory_per_pod, memory_max)
    return Usage(
        cpu_high=np.maximum(cpu_per_pod, total),
        cpu_low=_least_positive(cpu_per_pod, total, cpu_min + throttle_min),
        memory_high=memory_high,
        memory_low=_least_positive(memory_per_pod, memory_high, memory_min),
        memory_spike=_spike(memory, rss),
        pods=pods,
        cpu_units=Units(series.units[:, metrics[0]]),
        memory_units=Units(series.units[:, metrics[2]]),
    )


def _of_namespace(series: Series) -> Usage:
    metrics = [
        series.position(metric.name)
        for metric in (
            NAMESPACE_CPU_USAGE,
            NAMESPACE_CPU_THROTTLE,
            NAMESPACE_MEMORY_USAGE,
            NAMESPACE_MEMORY_RSS,
            NAMESPACE_TOTAL_PODS,
        )
    ]
    cpu, throttle, memory, rss, pods = _given(series, metrics)
    total = _highest(cpu) + _highest(throttle)
    return Usage(
        cpu_high=total,
        cpu_low=_least_positive(total, cpu[2] + throttle[2]),
        memory_high=memory[3],
        memory_low=_least_positive(memory[3], memory[2]),
        memory_spike=_spike(memory, rss),
        pods=pods[1],
        cpu_units=Units(series.units[:, metrics[0]]),
        memory_units=Units(series.units[:, metrics[2]]),
    )


def _given(series: Series, metrics: list[int]) -> Floats:
    """Return the values of shape (metrics, 4, n), contiguous in time; 0 for values that were not sent."""
    values = np.ascontiguousarray(series.values[:, metrics, :].transpose(1, 2, 0))
    values[np.isnan(values)] = 0.0
    return values


def _highest(metric: Floats) -> Floats:
    """Return the maximum, or the average if there is none; the rows of ``metric`` are sum, avg, min, max."""
    highest: Floats = np.where(metric[3] > 0, metric[3], metric[1])
    return highest


def _quotient(dividend: Floats, divisor: Floats, where: npt.NDArray[np.bool_]) -> Floats:
    """Return the quotient where the condition holds, else 0."""
    return np.divide(dividend, divisor, out=np.zeros_like(dividend), where=where)


def _least_positive(*choices: Floats) -> Floats:
    """Return the least of the positive values, else 0."""
    stacked = np.stack(choices)
    stacked[stacked <= 0] = np.inf
    least: Floats = stacked.min(axis=0)
    least[np.isinf(least)] = 0.0
    return least


def _spike(memory: Floats, rss: Floats) -> Floats:
    """Return the range of memory use within each interval."""
    spike: Floats = np.maximum(np.ceil(memory[3] - memory[2]), np.ceil(rss[3] - rss[2]))
    return spike
