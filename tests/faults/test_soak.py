"""Hours at 70 % of what the flow can do: memory, file descriptors and tasks stay where they are."""

import asyncio
import math
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psutil
import pytest

from tests.faults.sending import payloads, send_each, sending
from tests.faults.whole import Whole

SHARE = 0.7
SENDERS = 6
SAMPLES = 360
WINDOW_SAMPLES = 6


@dataclass(frozen=True)
class Slope:
    """Percent an hour, and how far off that may be."""

    percent: float
    error: float

    @property
    def at_least(self):
        """What it is with a probability of 97.5 %, or more."""
        return self.percent - 2 * self.error


class Samples:
    """Memory, descriptors and tasks of each process over time."""

    def __init__(self, whole):
        self._processes = {name: psutil.Process(each.pid) for name, each in whole.services.items()}
        self._whole = whole
        self.at = []
        self.tasks = {name: [] for name in self._processes}
        self.rss = {name: [] for name in self._processes}
        self.fds = {name: [] for name in self._processes}

    async def take(self):
        self.at.append(time.monotonic())
        for name, process in self._processes.items():
            family = [process, *process.children(recursive=True)]
            self.rss[name].append(sum(each.memory_info().rss for each in family))
            self.fds[name].append(process.num_fds())
            lines = (await self._whole.metrics(name)).splitlines()
            self.tasks[name] += [
                float(line.split()[1]) for line in lines if line.startswith("headrace_tasks ")
            ]

    def slope_an_hour(self, name):
        """Growth of the second half's memory in percent of its mean an hour, and the standard error of that.

        The line of least squares through the least of each window: what a message takes for a moment is no growth.
        """
        half = len(self.at) // 2
        windows = [slice(at, at + WINDOW_SAMPLES) for at in range(half, len(self.at), WINDOW_SAMPLES)]
        at, rss = [self.at[each][0] for each in windows], [min(self.rss[name][each]) for each in windows]
        if len(at) < 3:
            return Slope(0.0, 0.0)
        line, mean = statistics.linear_regression(at, rss), statistics.mean(rss)
        left = sum((y - line.intercept - line.slope * x) ** 2 for x, y in zip(at, rss, strict=True))
        spread = sum((x - statistics.mean(at)) ** 2 for x in at)
        error = math.sqrt(left / (len(at) - 2) / spread)
        return Slope(line.slope * 3600 / mean * 100, error * 3600 / mean * 100)


def grown(found):
    """By service: how much higher its last quarter goes than its second did."""
    quarters = {name: (len(values) // 4, values) for name, values in found.items() if len(values) >= 4}
    return {
        name: int(max(values[-quarter:]) - max(values[quarter : 2 * quarter]))
        for name, (quarter, values) in quarters.items()
    }


@pytest.mark.full
@pytest.mark.row(34)
@pytest.mark.slow
async def test_a_soak_leaves_memory_descriptors_and_tasks_where_they_are(tmp_path, row):
    async with AsyncExitStack() as closing:
        whole = Whole(tmp_path, PYTHONWARNINGS="error::RuntimeWarning")
        await whole.start(closing)
        prepared = await payloads(tmp_path, 3)
        # Once to have everything loaded, then as fast as it goes to know the capacity, its whole work included.
        await whole.all_ended(await send_each(whole.url, prepared, senders=SENDERS))
        began = time.monotonic()
        await whole.all_ended(await send_each(whole.url, prepared * row["rounds"], senders=SENDERS), 600)
        capacity = len(prepared) * row["rounds"] / (time.monotonic() - began)
        samples = Samples(whole)
        began = time.monotonic()
        async with sending(
            whole.url, prepared, senders=SENDERS, every_seconds=SENDERS / (SHARE * capacity)
        ) as load:
            while time.monotonic() - began < row["seconds"]:
                await samples.take()
                await asyncio.sleep(row["seconds"] / SAMPLES)  # the rhythm of the samples
        elapsed = time.monotonic() - began
        await whole.all_ended(load, 600)
        slopes = {name: samples.slope_an_hour(name) for name in samples.rss}
        growth, tasks = grown(samples.fds), grown(samples.tasks)
        row.record(
            seconds=elapsed,
            capacity_an_hour=int(capacity * 3600),
            sent_an_hour=int(len(load.sent) / elapsed * 3600),
            share_of_capacity=len(load.sent) / elapsed / capacity,
            memory_slope_percent_an_hour={
                name: f"{slope.percent:+.2f} ± {slope.error:.2f}" for name, slope in slopes.items()
            },
            peak_mib={name: round(max(found) / 2**20) for name, found in samples.rss.items()},
            descriptors_grown=growth,
            tasks_grown=tasks,
        )
        assert len(load.acknowledged) == len(load.sent)
        assert max(growth.values()) <= 20
        assert max(tasks.values()) <= 60
        for name, process in whole.services.items():
            text = process.log.read_text(encoding="utf-8", errors="replace")
            assert "was never awaited" not in text, name
        if row.full:
            assert max(slope.at_least for slope in slopes.values()) < 1.0, slopes
