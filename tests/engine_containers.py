"""The session's servers from images, where a container engine answers: HEADRACE_TEST_CONTAINERS=1.

HEADRACE_TEST_KAFKA_IMAGE, HEADRACE_TEST_MINIO_IMAGE and HEADRACE_TEST_POSTGRES_IMAGE replace the defaults.
"""

import asyncio
import os

from testcontainers.community.kafka import KafkaContainer
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

ACCESS_KEY, SECRET_KEY = "minioaccesskey", "miniosecretkey"


class Container:
    """`kafka`, `minio` or `postgres`; testcontainers blocks, so it works in threads."""

    def __init__(self, server: str) -> None:
        self._start = {"kafka": _kafka, "minio": _minio, "postgres": _postgres}[server]
        self._container: DockerContainer | None = None

    async def start(self) -> str:
        self._container, url = await asyncio.to_thread(self._start)
        return url

    async def stop(self) -> None:
        if self._container is not None:
            await asyncio.to_thread(self._container.stop)


def _image(server: str, default: str) -> str:
    return os.environ.get(f"HEADRACE_TEST_{server.upper()}_IMAGE", default)


def _kafka() -> tuple[DockerContainer, str]:
    container = KafkaContainer(_image("kafka", "confluentinc/cp-kafka:8.1.0")).with_kraft().start()
    return container, container.get_bootstrap_server()


def _postgres() -> tuple[DockerContainer, str]:
    container = PostgresContainer(_image("postgres", "postgres:18"), username="postgres", driver=None).start()
    return container, container.get_connection_url()


def _minio() -> tuple[DockerContainer, str]:
    container = (
        DockerContainer(_image("minio", "minio/minio:RELEASE.2025-09-07T16-13-09Z"))
        .with_command("server /data")
        .with_env("MINIO_ROOT_USER", ACCESS_KEY)
        .with_env("MINIO_ROOT_PASSWORD", SECRET_KEY)
        .with_exposed_ports(9000)
        .waiting_for(HttpWaitStrategy(9000, "/minio/health/cluster"))
        .start()
    )
    address = f"{container.get_container_host_ip()}:{container.get_exposed_port(9000)}"
    return container, f"http://{ACCESS_KEY}:{SECRET_KEY}@{address}"
