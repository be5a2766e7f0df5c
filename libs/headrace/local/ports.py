"""The ports of a local stack's engines, all on loopback."""

import errno
import fcntl
import os
import random
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from headrace.runtime.errors import ConfigurationError

HOST = "127.0.0.1"

# SeaweedFS' admin part listens a second time, this much higher, and its own worker looks for it nowhere else.
SEAWEEDFS_ADMIN_OFFSET = 10_000
SEAWEEDFS_PARTS = (
    "master",
    "master.grpc",
    "volume",
    "volume.grpc",
    "filer",
    "filer.grpc",
    "s3.grpc",
    "admin",
)


@dataclass(frozen=True, kw_only=True)
class EnginePorts:
    """One port for each listener; `s3_inner` is the first of eight consecutive ports for the servers behind S3."""

    kafka: int
    kafka_controller: int
    s3: int
    s3_console: int
    postgres: int
    s3_inner: int

    @classmethod
    def seed(cls) -> Self:
        """Return the ports that the documents print."""
        return cls(
            kafka=29092,
            kafka_controller=29093,
            s3=9000,
            s3_console=9990,
            postgres=15432,
            s3_inner=19100,
        )

    @classmethod
    def at(cls, base: int) -> Self:
        """Return `base` to `base + 4`; the servers behind S3 use `base + 90` to `base + 97` and `base + 10097`."""
        if not 1024 <= base <= 55_000:
            raise ConfigurationError(f"--port-base must be between 1024 and 55000, got {base}")
        return cls(
            kafka=base,
            kafka_controller=base + 1,
            s3=base + 2,
            s3_console=base + 3,
            postgres=base + 4,
            s3_inner=base + 90,
        )

    @classmethod
    def random(cls) -> Self:
        """Reserve 100 free ports below the system's ephemeral range and apart from `seed`, until this process ends."""
        bases = [base for base in range(10_000, 22_000, 100) if base not in (15_400, 19_100)]
        random.shuffle(bases)
        for base in bases:
            ports = cls.at(base)
            if _hold(base) and all(_is_free(port) for port in ports.every()):
                return ports
        raise ConfigurationError("no range of 100 free ports between 10000 and 22000")

    def every(self) -> tuple[int, ...]:
        """Return all ports that any choice of servers may use."""
        outer = (self.kafka, self.kafka_controller, self.s3, self.s3_console, self.postgres)
        return outer + tuple(self.seaweedfs().values())

    def seaweedfs(self) -> dict[str, int]:
        """Return the inner listeners, by SeaweedFS' option for each."""
        parts = {part: self.s3_inner + index for index, part in enumerate(SEAWEEDFS_PARTS)}
        return parts | {"admin.grpc": parts["admin"] + SEAWEEDFS_ADMIN_OFFSET}


def check_free(port: int, what: str) -> None:
    """Raise ConfigurationError with the process that listens on one of the ports."""
    if not _is_free(port):
        raise ConfigurationError(
            f"port {port} for {what} is in use by {_holder(port)}: stop it, or use other ports with "
            "--port-base"
        )


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        # As the servers do it: a connection that is only closing does not count.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.pid:
            return describe_process(connection.pid)
    return "a process of another user"


def describe_process(pid: int) -> str:
    """Return a description such as `pid 4711 (java -Xmx512m …)`."""
    try:
        words = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return f"pid {pid}"
    return f"pid {pid} ({words if len(words) <= 100 else words[:99] + '…'})"


def _hold(base: int) -> bool:
    directory = Path(tempfile.gettempdir(), f"headrace-ports-{os.getuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    # Held until the process ends, which is what lets go of it.
    lock = os.open(directory / str(base), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    return True
