"""Engines of one's own, and any number of processes of services that share nothing but them.

Each service that listens is reached through a balancer, as through a Kubernetes Service.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from headrace.local.ports import HOST, EnginePorts
from headrace.local.shape import settings_of_ports, urls_told
from headrace.local.stack import Engines
from headrace.runtime.settings import EngineSettings
from headrace.service.initialise import initialise
from headrace_services.registry import BY_NAME, SERVICES
from tests.processes import ROOT, ServiceProcess
from tests.proxy import Balancer

# Without those that stand between systems which are not there.
ALL = tuple(row.name for row in SERVICES if not row.simulated)


@dataclass
class Replica:
    """One process and where its services listen."""

    process: ServiceProcess
    ports: dict[str, int]

    def assigned(self) -> dict[tuple[str, str], list[int]]:
        """The partitions it was given last, by service and topic (its log says so)."""
        found = {}
        for line in self.process.log.read_text(encoding="utf-8").splitlines():
            if '"partitions assigned"' in line:
                entry = json.loads(line)
                found[entry["service"], entry["topic"]] = entry["partitions"]
        return found


class Cluster:
    """The engines, the balancers, the replicas that run."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.environment = {"OLS_USER_DATA_PATH": str(directory / "ols-user-data")} | environment
        self.engine_ports = EnginePorts.random()
        self.engines = Engines(directory / "data", self.engine_ports)
        self.balancers: dict[str, Balancer] = {}
        self.replicas: list[Replica] = []
        self._started = 0
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._closing.__aenter__()
        await self._closing.enter_async_context(self.engines)
        told = settings_of_ports(SERVICES, self.engine_ports.kafka)
        for row in SERVICES:
            if row.port:
                balancer = Balancer(int(told[row.port_variable]))
                await balancer.restore()
                self._closing.push_async_callback(balancer.refuse)
                self.balancers[row.name] = balancer
        self.environment = self.engines.environment() | urls_told(SERVICES, told) | self.environment
        environment = self.environment
        self.settings = EngineSettings(
            kafka=environment["HEADRACE_KAFKA"],
            s3=environment["HEADRACE_S3"],
            postgres=environment["HEADRACE_POSTGRES"],
            kafka_partitions=int(environment.get("HEADRACE_KAFKA_PARTITIONS", "0")),
        )
        await initialise(self.settings, SERVICES)
        self._closing.push_async_callback(self._stop_all)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._closing.aclose()

    def url(self, name: str) -> str:
        """Where a service is reached, whichever replica answers."""
        return f"http://{HOST}:{self.balancers[name].port}"

    async def add(self, names: Sequence[str] = ALL, *, root: Path = ROOT, **environment: str) -> Replica:
        """Start a process with these services, reached as soon as they listen; wait until it is ready."""
        self._started += 1
        base = EnginePorts.random().kafka
        own = settings_of_ports(SERVICES, base)
        urls = {variable for row in SERVICES for variable, _ in row.known_by}
        ports = {variable: port for variable, port in own.items() if variable not in urls}
        process = ServiceProcess(
            tuple(names),
            self.environment | ports | environment,
            int(own["HEADRACE_ADMIN_PORT"]),
            self.directory / f"{self._started:02}-{names[0]}.log",
            root,
        )
        listening = {name: int(own[BY_NAME[name].port_variable]) for name in names if BY_NAME[name].port}
        replica = Replica(process, listening)
        self.replicas.append(replica)
        # A port nobody listens on yet is passed over; services of one process wait for one another to be ready.
        for name, port in listening.items():
            self.balancers[name].targets.append(port)
        await process.start(ready_within_seconds=240)
        return replica

    async def remove(self, replica: Replica) -> int:
        """Take it out of the balancers, then SIGTERM; returns the exit code."""
        self.replicas.remove(replica)
        for name, port in replica.ports.items():
            if port in self.balancers[name].targets:
                self.balancers[name].targets.remove(port)
        return await replica.process.stop(within_seconds=60)

    async def replace(self, replica: Replica) -> Replica:
        """A new one first, as a rolling update does."""
        new = await self.add(replica.process.names)
        assert await self.remove(replica) == 0
        return new

    async def _stop_all(self) -> None:
        await asyncio.gather(*(replica.process.stop() for replica in self.replicas))
