"""``run.json`` in the data directory of a local stack, by which other processes find the running stack.

`headrace.local.directory` writes the file. This module reads it, so that commands and services that look for a running
stack do not import `headrace.local`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from headrace.runtime.errors import ConfigurationError

NAME: Final = "run.json"

Run = Mapping[str, Any]


def written_run(directory: Path) -> dict[str, Any]:
    """Return the content of the file, even if its writer has ended; empty without a file."""
    try:
        state: dict[str, Any] = json.loads((directory / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return state


def read_run(directory: Path) -> dict[str, Any] | None:
    """Return the state of the stack that runs on this directory, or None if none runs.

    Keys: pid, started, ready, engines (rows of `EngineStatus`), and the values that `Engines.publish` added.
    """
    state = written_run(directory)
    return state if state and is_still(state["pid"], state["started"]) else None


def running_stack(directory: Path) -> Run:
    """Return the state of the running stack; raises ConfigurationError if none runs."""
    run = read_run(directory)
    if run is None:
        raise ConfigurationError(
            f"no stack is running in {directory.absolute()}: start one with `headrace up`"
        )
    return run


def started(pid: int) -> float | None:
    """Return the start of a process (seconds since 1970), None without one; it tells apart reused process ids."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def is_still(pid: int | None, began: float | None) -> bool:
    """Whether the process with this id is the one that started at ``began`` (seconds since 1970)."""
    if pid is None or began is None:
        return False
    now = started(pid)
    # The kernel counts start times from boot, so a corrected clock shifts them slightly.
    return now is not None and abs(now - began) < 1.0
