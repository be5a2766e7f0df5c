"""`up --detach`, `down`: a local stack in the background."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from headrace.cli.output import Output
from headrace.run_file import read_run
from headrace.runtime.errors import ConfigurationError, Permanent

DETACH: Final = ("-d", "--detach")
# A first start fetches Kafka and Java.
_START_SECONDS: Final = 900.0
_STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_SHOWN_BYTES: Final = 4096


def up(directory: Path) -> None:
    """Start this command again without a terminal; returns when the stack is ready."""
    output = Output()
    if (run := read_run(directory)) is not None:
        output.line(f"the stack in {directory.absolute()} is already running as process {run['pid']}")
        return
    said = directory.absolute() / "logs" / "up.log"
    try:
        said.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{directory.absolute()} cannot be written ({error.strerror})") from None
    words = [sys.executable, *(word for word in sys.orig_argv[1:] if word not in DETACH)]
    with said.open("wb") as stream:
        # Its lines are in the log that it keeps.
        process = subprocess.Popen(  # noqa: S603 -- what a person has just typed
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stream,
            start_new_session=True,
        )

    def ready() -> bool:
        if process.poll() is not None:
            raise Permanent(f"the stack did not start:\n{_end_of(said)}")
        return "admin" in (read_run(directory) or {})

    if not _within(_START_SECONDS, ready):
        raise Permanent(f"the stack was not ready within {_START_SECONDS:.0f} s:\n{_end_of(said)}")
    output.line(f"ready, as process {process.pid}: headrace status, logs and down")


def down(directory: Path) -> None:
    """Stop the stack of the directory in order; its data is kept."""
    if stop(directory):
        Output().line(f"stopped; its data is kept in {directory.absolute()}")
    else:
        Output().line(f"no stack is running in {directory.absolute()}")


def stop(directory: Path) -> bool:
    """Stop the stack and wait for its end; returns False if none runs."""
    run = read_run(directory)
    if run is None:
        return False
    os.kill(run["pid"], signal.SIGTERM)
    if not _within(_STOP_SECONDS, lambda: read_run(directory) is None):
        raise Permanent(f"process {run['pid']} did not exit within {_STOP_SECONDS:.0f} s")
    return True


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _end_of(file: Path) -> str:
    return file.read_bytes()[-_SHOWN_BYTES:].decode(errors="replace").rstrip()
