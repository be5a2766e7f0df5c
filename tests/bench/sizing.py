"""Memory and CPU of each service as a process of its own: what docs/operations.md and deploy/kustomize say."""

import asyncio
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.report import Figure
from tests.faults.test_scale_out import ENVIRONMENT, payloads, send_until
from tests.replicas import ALL, Cluster, Replica
from tests.waiting import eventually

TITLE = "Size of each service"
TEXT = (
    "One process a service, ready and left alone for ten seconds, then under uploads of every kind (three senders, "
    "half of them small archives, a quarter cost archives of one cluster's day, a quarter Insights archives). "
    "Memory is the process' resident set and what its children have for themselves alone; CPU is user and system time."
)
IDLE_SECONDS = 10.0
UPLOADS = 150


@dataclass
class Use:
    """What a process has used so far."""

    rss_mib: float
    cpu_seconds: float

    @classmethod
    def of(cls, replica: Replica) -> "Use":
        root = psutil.Process(replica.process.pid)
        rss, times = root.memory_info().rss, root.cpu_times()
        cpu = times.user + times.system
        for child in root.children(recursive=True):
            times = child.cpu_times()
            rss += child.memory_full_info().uss
            cpu += times.user + times.system
        return cls(rss / 2**20, cpu)


async def measure() -> list[Figure]:
    """A row for each service."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        prepared = await payloads(directory)
        async with Cluster(directory, **ENVIRONMENT) as cluster:
            replicas = dict(
                zip(ALL, await asyncio.gather(*(cluster.add((name,)) for name in ALL)), strict=True)
            )
            ready = {name: Use.of(replica) for name, replica in replicas.items()}
            await asyncio.sleep(IDLE_SECONDS)
            idle = {name: Use.of(replica) for name, replica in replicas.items()}
            peaks = {name: use.rss_mib for name, use in idle.items()}
            sent: list[object] = []
            done = asyncio.Event()
            load = asyncio.create_task(
                send_until(cluster.url("ingress"), itertools.cycle(prepared), done, sent)
            )

            async def through() -> bool:
                for name, replica in replicas.items():
                    peaks[name] = max(peaks[name], Use.of(replica).rss_mib)
                return len(sent) >= UPLOADS

            await eventually(through, within_seconds=600, every_seconds=0.2)
            done.set()
            await load
            await asyncio.sleep(IDLE_SECONDS)
            used = {name: Use.of(replica) for name, replica in replicas.items()}
    total_idle = sum(use.rss_mib for use in idle.values())
    return [
        *(
            Figure(
                name,
                f"{idle[name].rss_mib:.0f} MiB idle, {peaks[name]:.0f} MiB at most",
                f"start {ready[name].cpu_seconds:.1f} s, "
                f"idle {(idle[name].cpu_seconds - ready[name].cpu_seconds) / IDLE_SECONDS * 1000:.0f} m, "
                f"{(used[name].cpu_seconds - idle[name].cpu_seconds) / len(sent) * 1000:.1f} ms an upload",
            )
            for name in ALL
        ),
        Figure("all together", f"{total_idle:.0f} MiB idle, {sum(peaks.values()):.0f} MiB at most"),
    ]


if __name__ == "__main__":
    for row in asyncio.run(measure()):
        print(f"{row.name:20} {row.value:40} {row.spread}")
