"""Series made up for tests, and the two forms of one series: dictionaries as in `plain`, and arrays."""

from typing import Any

import numpy as np

from headrace.contracts.kruize import VALUES
from headrace_services.kruize.series import METRICS, UNITS, Series
from tests.unit.kruize.plain import MINUTE

END = 1_685_753_100_000  # 2023-06-03T00:45:00Z
STEP = 15 * MINUTE


def series_of(kind, intervals):
    """Arrays from dictionaries, ordered by end."""
    ordered = sorted(intervals, key=lambda interval: interval["end"])
    metrics = METRICS[kind]
    values = np.full((len(ordered), len(metrics), len(VALUES)), np.nan)
    units = np.zeros((len(ordered), len(metrics)), np.uint8)
    for row, interval in enumerate(ordered):
        for position, metric in enumerate(metrics):
            given = interval["metrics"].get(metric.name, {})
            values[row, position] = [given.get(value, np.nan) for value in VALUES]
            units[row, position] = UNITS.index(given.get("format", ""))
    starts, ends = ([interval[name] for interval in ordered] for name in ("start", "end"))
    return Series(kind, np.array(starts, np.int64), np.array(ends, np.int64), values, units)


def intervals_of(series):
    """The reverse."""
    return [
        {"start": start, "end": end, "metrics": _metrics(series.kind, row, units)}
        for start, end, row, units in zip(
            series.starts_ms.tolist(),
            series.ends_ms.tolist(),
            series.values.tolist(),
            series.units.tolist(),
            strict=True,
        )
    ]


def _metrics(kind, row, units):
    metrics = {}
    for metric, numbers, unit in zip(METRICS[kind], row, units, strict=True):
        pairs = zip(VALUES, numbers, strict=True)
        given: dict[str, Any] = {value: number for value, number in pairs if number == number}  # noqa: PLR0124
        if unit:
            given["format"] = UNITS[unit]
        if given:
            metrics[metric.name] = given
    return metrics


def container(end=END, **metrics):
    """One interval of a container that uses half a core and 100 of 200 bytes, but for what is given.

    ``cpuUsage={"max": 2}`` changes single values, ``cpuLimit=None`` leaves a metric out.
    """
    half = {"sum": 0.5, "avg": 0.5, "min": 0.5, "max": 0.5, "format": "cores"}
    hundred = {"sum": 100.0, "avg": 100.0, "min": 100.0, "max": 100.0, "format": "bytes"}
    return _interval(
        end,
        {
            "cpuRequest": {"sum": 1.0, "avg": 1.0, "format": "cores"},
            "cpuLimit": {"sum": 2.0, "avg": 2.0, "format": "cores"},
            "cpuUsage": half,
            "cpuThrottle": {"sum": 0.0, "avg": 0.0, "max": 0.0, "format": "cores"},
            "memoryRequest": {"sum": 200.0, "avg": 200.0, "format": "bytes"},
            "memoryLimit": {"sum": 400.0, "avg": 400.0, "format": "bytes"},
            "memoryUsage": hundred,
            "memoryRSS": hundred,
        },
        metrics,
    )


def namespace(end=END, **metrics):
    """One interval of a namespace with two pods, likewise."""
    return _interval(
        end,
        {
            "namespaceCpuRequest": {"sum": 1.0, "format": "cores"},
            "namespaceCpuLimit": {"sum": 2.0, "format": "cores"},
            "namespaceCpuUsage": {"avg": 0.4, "min": 0.1, "max": 0.5, "format": "cores"},
            "namespaceCpuThrottle": {"avg": 0.0, "min": 0.0, "max": 0.0, "format": "cores"},
            "namespaceMemoryRequest": {"sum": 200.0, "format": "bytes"},
            "namespaceMemoryLimit": {"sum": 400.0, "format": "bytes"},
            "namespaceMemoryUsage": {"avg": 90.0, "min": 80.0, "max": 100.0, "format": "bytes"},
            "namespaceMemoryRSS": {"avg": 90.0, "min": 80.0, "max": 100.0, "format": "bytes"},
            "namespaceTotalPods": {"avg": 1.2, "max": 2.0},
            "namespaceRunningPods": {"avg": 1.0, "max": 1.0},
        },
        metrics,
    )


def _interval(end, standard, changes):
    metrics = {
        name: standard.get(name, {}) | (changes.get(name) or {})
        for name in standard | changes
        if changes.get(name, {}) is not None
    }
    return {"start": end - STEP, "end": end, "metrics": metrics}


def in_a_row(count, make=container, end=END, **metrics):
    """So many intervals, each 15 minutes after the one before."""
    return [make(end - number * STEP, **metrics) for number in range(count)]


def random_series(kind, ends, generator, *, missing=0.0, zeros=0.0, scale=1.0, one_unit=True):
    """Values up to ``scale`` cores and as many GiB, a share of them 0 or not sent.

    Averages of a few pods make up the sums. Requests are near the use, so that some are within the threshold.
    """
    count, metrics = len(ends), METRICS[kind]
    units = np.array([UNITS.index(metric.unit) for metric in metrics], np.uint8) * np.ones(
        (count, 1), np.uint8
    )
    if not one_unit:
        units = generator.integers(0, 3, units.shape).astype(np.uint8)
    size = np.where([metric.unit == "bytes" for metric in metrics], 2.0**30, 1.0)[:, np.newaxis] * scale
    low, avg, high = np.sort(generator.uniform(0, 1, (3, count, len(metrics), 1)), axis=0) * size
    pods = generator.integers(1, 5, (count, 1, 1))
    values = np.concatenate([avg * pods, avg, low, high], axis=2)
    # A few values that repeat: equal ranks, and changes of nothing.
    values = np.where(generator.random(values.shape) < 0.3, size * 0.5, values)
    values[generator.random(values.shape) < zeros] = 0.0
    values[generator.random(values.shape) < missing] = np.nan
    values[generator.random((count, len(metrics))) < missing] = np.nan
    ends = np.array(sorted(ends), np.int64)
    return Series(kind, ends - generator.integers(STEP - 30_000, STEP + 30_000, count), ends, values, units)


def fortnight(kind="container", count=1440, seed=1):
    """15 days without gaps."""
    ends = [END - number * STEP for number in range(count)]
    return random_series(kind, ends, np.random.default_rng(seed), scale=3.0)
