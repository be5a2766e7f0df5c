"""The rows of a cost archive's CSVs, generated one at a time.

CPU is in cores and memory in bytes, and in the pod file in core seconds and byte seconds. Times have the form
``2023-06-02 00:15:00 +0000 UTC``; a ROS interval lasts from hh:mm:01 to hh:mm:00, a pod interval is an hour.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from headrace.samples.cost_workloads import Container
from headrace.samples.options import SampleOptions

INTERVAL = timedelta(minutes=15)
INTERVAL_SECONDS = 900
INTERVALS_PER_HOUR = 4
INTERVALS_PER_DAY = 96
_HOUR_SECONDS = 3600
_NOISE_LENGTH = 1021


class Usage(NamedTuple):
    """The cores and bytes that a container used in one interval."""

    cores: float
    min_cores: float
    max_cores: float
    throttled_cores: float
    bytes: float
    min_bytes: int
    max_bytes: int
    rss_bytes: float
    min_rss_bytes: int
    max_rss_bytes: int


class CostRows:
    """The rows of one cluster over the days before ``now``, rounded down to the hour."""

    def __init__(self, options: SampleOptions, cluster_number: int, containers: list[Container]) -> None:
        chooser = options.chooser(f"usage {cluster_number}")
        self._noise = [chooser.random() for _ in range(_NOISE_LENGTH)]
        self._containers = containers
        self._intervals = options.days * INTERVALS_PER_DAY
        self.end = options.now.replace(minute=0, second=0, microsecond=0)
        self.start = self.end - timedelta(days=options.days)
        self.last_hour = self.end - timedelta(hours=1)

    def containers(self) -> Iterator[str]:
        """Yield the ROS container rows, by interval."""
        fixed = [(container, _identity(container), *_asked(container)) for container in self._containers]
        for number in range(self._intervals):
            times = self._ros_times(number)
            for container, identity, cores, memory in fixed:
                if _runs(container, number):
                    used = self._usage(container, number)
                    yield f"{times},{identity},{cores},{_used_cores(used)},{memory},{_used_bytes(used)}\n"

    def namespaces(self) -> Iterator[str]:
        """Yield the ROS namespace rows, by interval: the sums over the containers of the namespace."""
        names = sorted({container.namespace for container in self._containers})
        for number in range(self._intervals):
            times = self._ros_times(number)
            for name in names:
                running = [c for c in self._containers if c.namespace == name and _runs(c, number)]
                if running:
                    yield f"{times},{name},{self._namespace(running, number)}\n"

    def pods(self) -> Iterator[str]:
        """Yield the pod usage rows, by hour."""
        pods: dict[tuple[str, str], list[Container]] = {}
        for container in self._containers:
            pods.setdefault((container.namespace, container.pod), []).append(container)
        for first in range(0, self._intervals, INTERVALS_PER_HOUR):
            start = self.start + first * INTERVAL
            times = f"{_period(start)},{_text(start)},{_text(start + timedelta(seconds=_HOUR_SECONDS - 1))}"
            for containers in pods.values():
                if _runs(containers[0], first):
                    yield f"{times},{self._pod(containers, first)}\n"

    def _ros_times(self, number: int) -> str:
        start = self.start + number * INTERVAL
        return f"{_period(start)},{_text(start + timedelta(seconds=1))},{_text(start + INTERVAL)}"

    def _usage(self, container: Container, number: int) -> Usage:
        noise = self._noise[(number * 7 + container.number * 131) % _NOISE_LENGTH]
        time_of_day = 2 * math.pi * (self.start.hour * INTERVALS_PER_HOUR + number) / INTERVALS_PER_DAY
        cores = container.usual_cores * (1 - 0.4 * math.cos(time_of_day)) * (0.85 + 0.3 * noise)
        max_cores = cores * (1.1 + 0.5 * noise)
        limit = container.limit_cores
        used_bytes = container.usual_bytes * (0.95 + 0.1 * noise)
        rss_bytes = used_bytes * 0.92
        return Usage(
            cores=cores,
            min_cores=cores * 0.6,
            max_cores=max_cores,
            throttled_cores=0.0 if limit is None else max(0.0, max_cores - limit / 2) / 10,
            bytes=used_bytes,
            min_bytes=int(used_bytes * 0.99),
            max_bytes=int(used_bytes * 1.02),
            rss_bytes=rss_bytes,
            min_rss_bytes=int(rss_bytes * 0.99),
            max_rss_bytes=int(rss_bytes * 1.01),
        )

    def _namespace(self, running: list[Container], number: int) -> str:
        used = [self._usage(container, number) for container in running]
        pods = len({container.pod for container in running})
        throttled = f"{sum(u.throttled_cores for u in used):.6f}"
        return (
            f"{_sum(c.request_cores for c in running)},{_sum(c.limit_cores for c in running)},"
            f"{sum(u.cores for u in used):.6f},{sum(u.max_cores for u in used):.6f},"
            f"{sum(u.min_cores for u in used):.6f},{throttled},{throttled},{throttled},"
            f"{_sum(c.request_bytes for c in running)},{_sum(c.limit_bytes for c in running)},"
            f"{sum(u.bytes for u in used):.6f},{sum(u.max_bytes for u in used)},{sum(u.min_bytes for u in used)},"
            f"{sum(u.rss_bytes for u in used):.6f},{sum(u.max_rss_bytes for u in used)},"
            f"{sum(u.min_rss_bytes for u in used)},{pods},{pods},{pods},{pods}"
        )

    def _pod(self, containers: list[Container], first: int) -> str:
        numbers = range(first, first + INTERVALS_PER_HOUR)
        running = [(c, n) for c in containers for n in numbers if _runs(c, n)]
        used = [self._usage(*at) for at in running]
        node = containers[0].node
        return (
            f"{node.name},{containers[0].namespace},{containers[0].pod},"
            f"{sum(u.cores for u in used) * INTERVAL_SECONDS:.6f},"
            f"{sum(c.request_cores or 0 for c, _ in running) * INTERVAL_SECONDS:.6f},"
            f"{sum(c.limit_cores or 0 for c, _ in running) * INTERVAL_SECONDS:.6f},"
            f"{sum(u.bytes for u in used) * INTERVAL_SECONDS:.6f},"
            f"{sum(c.request_bytes or 0 for c, _ in running) * INTERVAL_SECONDS:.6f},"
            f"{sum(c.limit_bytes or 0 for c, _ in running) * INTERVAL_SECONDS:.6f},"
            f"{node.cores},{node.cores * _HOUR_SECONDS},{node.memory_bytes},"
            f"{node.memory_bytes * _HOUR_SECONDS},worker,{node.resource_id},label_app:{containers[0].name}"
        )


def _runs(container: Container, number: int) -> bool:
    return container.first_intervals_only is None or number < container.first_intervals_only


def _identity(c: Container) -> str:
    return (
        f"{c.name},{c.pod},{c.owner_name},{c.owner_kind},{c.workload},{c.workload_type},{c.namespace},"
        f"{c.image},{c.node.name},{c.node.resource_id}"
    )


def _asked(container: Container) -> tuple[str, str]:
    cores = (container.request_cores, container.request_cores, container.limit_cores, container.limit_cores)
    memory = (container.request_bytes, container.request_bytes, container.limit_bytes, container.limit_bytes)
    return ",".join(map(_number, cores)), ",".join(map(_number, memory))


def _used_cores(used: Usage) -> str:
    cores, throttled = f"{used.cores:.6f}", f"{used.throttled_cores:.6f}"
    return f"{cores},{used.min_cores:.6f},{used.max_cores:.6f},{cores},{throttled},{throttled},{throttled}"


def _used_bytes(used: Usage) -> str:
    usage, rss = f"{used.bytes:.6f}", f"{used.rss_bytes:.6f}"
    return f"{usage},{used.min_bytes},{used.max_bytes},{usage},{rss},{used.min_rss_bytes},{used.max_rss_bytes},{rss}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _sum(values: Iterable[float | None]) -> str:
    return _number(sum(value for value in values if value is not None))


def _period(when: datetime) -> str:
    first = when.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=31)).replace(day=1)
    return f"{_text(first)},{_text(following)}"


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
