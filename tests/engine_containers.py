"""The session's servers from compose.yaml's images, where a container engine answers: HEADRACE_TEST_ENGINES=containers.

Images are what compose takes (KAFKA_IMAGE, SEAWEEDFS_IMAGE, POSTGRES_IMAGE, in the environment or in .env).
"""

import asyncio
import socket
from typing import Any

import aiokafka.client
import asyncpg
from testcontainers.core.container import DockerContainer

from headrace.local.engine import answers
from tests.composed import ROOT, composed, variables
from tests.waiting import eventually

READY_SECONDS = 120.0
# By the session's name: compose's name and the port inside.
PARTS = {"kafka": ("kafka", 39092), "seaweedfs": ("s3", 9000), "postgres": ("db-ros", 5432)}


class Container:
    """`kafka`, `seaweedfs` or `postgres`; testcontainers blocks, so it works in threads."""

    def __init__(self, server: str) -> None:
        self._server = server
        name, self._inside = PARTS[server]
        # Kafka tells its clients its port, so that it has to be known before.
        self._port = _free_port()
        self._service = composed(variables() | {"KAFKA_PORT": str(self._port)})["services"][name]
        self._container: DockerContainer | None = None

    async def start(self) -> str:
        container = self._described()
        self._container = await asyncio.to_thread(container.start)
        ready = {"kafka": self._kafka, "seaweedfs": self._seaweedfs, "postgres": self._postgres}[self._server]
        return await eventually(ready, within_seconds=READY_SECONDS, every_seconds=0.2)

    async def stop(self) -> None:
        if self._container is not None:
            await asyncio.to_thread(self._container.stop)

    def _described(self) -> DockerContainer:
        service = self._service
        container = DockerContainer(service["image"]).with_bind_ports(self._inside, self._port)
        container.with_command(service["command"])
        options: dict[str, Any] = {
            name: service[name] for name in ("entrypoint", "hostname", "user") if name in service
        }
        container.with_kwargs(**options)
        for name, value in service["environment"].items():
            container.with_env(name, value)
        for volume in service["volumes"]:
            source, inside, *_ = volume.split(":")
            if source.startswith("./"):
                container.with_volume_mapping(str(ROOT / source), inside, "ro")
        return container

    async def _kafka(self) -> str:
        client = aiokafka.client.AIOKafkaClient(bootstrap_servers=f"localhost:{self._port}")
        try:
            await client.bootstrap()
        except aiokafka.errors.KafkaError as error:
            raise AssertionError(str(error)) from error
        finally:
            await client.close()
        return f"localhost:{self._port}"

    async def _seaweedfs(self) -> str:
        try:
            await answers(f"http://localhost:{self._port}/healthz")
        except Exception as error:  # whatever it is, it is not there yet
            raise AssertionError(str(error)) from error
        keys = self._service["environment"]
        key, secret = keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]
        return f"http://{key}:{secret}@localhost:{self._port}"

    async def _postgres(self) -> str:
        password = self._service["environment"]["POSTGRES_PASSWORD"]
        url = f"postgresql://postgres:{password}@localhost:{self._port}/postgres"
        try:
            await (await asyncpg.connect(url, timeout=60)).close()
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise AssertionError(str(error)) from error
        return url


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
