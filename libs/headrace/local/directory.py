"""The data directory of a local stack: its lock, its S3 server, and the state of the running stack."""

import contextlib
import fcntl
import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import IO, Any

import psutil

from headrace.local.install import S3Server
from headrace.local.ports import describe_process
from headrace.run_file import NAME, is_still, started, written_run
from headrace.runtime.errors import ConfigurationError

PRODUCTS: dict[S3Server, str] = {"minio": "MinIO", "seaweedfs": "SeaweedFS"}
LEFTOVER_SECONDS = 5.0
# What the engines write before the first upload: PostgreSQL and Kafka allocate in advance.
NEEDED_BYTES = 256 << 20
# An empty file in it for each engine that somebody wants stopped.
HELD = "held"


class DataDirectory:
    """`.headrace/`: `lock`, `s3.json`, `run.json`, `held/`, `logs/` and one directory for each server."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None
        self._made = False
        self._publishing = threading.Lock()
        self._choice = self.path / "s3.json"
        self._run = self.path / NAME
        self._held = self.path / HELD

    def acquire(self) -> None:
        """Create and lock the directory.

        Raises ConfigurationError if it cannot be written, or with the process that uses it; dead ones do not count.
        """
        self._made = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._check_room()
            lock = (self.path / "lock").open("a+", encoding="ascii")
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} cannot be written ({error.strerror}): start with another --directory"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            who = describe_process(int(holder)) if holder.isdigit() else "another process"
            raise ConfigurationError(
                f"{self.path} is in use by {who}: stop it, or start with another directory and other ports"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        # What was wanted of a former stack is not wanted of this one.
        shutil.rmtree(self._held, ignore_errors=True)

    def release(self) -> None:
        """Remove the state and the lock."""
        self._run.unlink(missing_ok=True)
        shutil.rmtree(self._held, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def remove_if_made(self) -> None:
        """Remove the directory again if `acquire` created it: nothing in it was ever used."""
        if self._made:
            shutil.rmtree(self.path, ignore_errors=True)

    def _check_room(self) -> None:
        """Raise ConfigurationError if a new directory has no room; an older one waits until there is room again."""
        free = shutil.disk_usage(self.path).free
        if self._made and free < NEEDED_BYTES:
            self.remove_if_made()
            raise ConfigurationError(
                f"no space left on {self.path.parent}: {free >> 20} MiB free, a new stack needs "
                f"{NEEDED_BYTES >> 20} MiB"
            )

    def s3_server(self, wanted: S3Server | None) -> S3Server | None:
        """Return the S3 server of the directory's objects; None before the first start.

        Raises ConfigurationError if another server is requested.
        """
        if not self._choice.exists():
            return None
        held = _server_in(self._choice.read_text(encoding="utf-8"))
        if held is None:
            raise ConfigurationError(
                f"{self._choice} must contain one of {', '.join(PRODUCTS)}; remove it to choose again"
            )
        if wanted is not None and wanted != held:
            raise ConfigurationError(
                f"{self.path} contains objects of {PRODUCTS[held]}, not of {PRODUCTS[wanted]}: start with "
                f"another directory, or remove {self.path / held} and {self._choice} (the objects are lost)"
            )
        return held

    def keep_s3_server(self, server: S3Server) -> None:
        """Record the directory's S3 server."""
        self._choice.write_text(json.dumps({"server": server}), encoding="utf-8")

    def held(self) -> frozenset[str]:
        """Return the names of the engines that somebody wants stopped."""
        try:
            return frozenset(path.name for path in self._held.iterdir())
        except FileNotFoundError:
            return frozenset()

    def publish(self, state: dict[str, Any]) -> None:
        """Write `run.json` atomically."""
        own = {"pid": os.getpid(), "started": started(os.getpid())}
        partial = self._run.with_suffix(".partial")
        # Whoever watches the event loop writes too, from a thread of its own.
        with self._publishing:
            partial.write_text(json.dumps(own | state, indent=1), encoding="utf-8")
            partial.replace(self._run)

    def end_leftovers(self) -> None:
        """Kill the processes that a killed stack left running, and remove its state."""
        for part in written_run(self.path).get("engines", ()):
            with contextlib.suppress(psutil.Error):
                if is_still(part["pid"], part["started"]):
                    _kill(psutil.Process(part["pid"]))
        self._run.unlink(missing_ok=True)


def _kill(process: psutil.Process) -> None:
    process.kill()
    deadline = time.monotonic() + LEFTOVER_SECONDS
    # A dead one that nobody has reaped yet holds no port and no file.
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)


def _server_in(text: str) -> S3Server | None:
    try:
        named = json.loads(text)["server"]
    except (ValueError, KeyError, TypeError):
        return None
    return next((server for server in PRODUCTS if server == named), None)
