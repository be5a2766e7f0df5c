"""What a running local stack tells other processes: ``run.json`` in its data directory.

Read here, so that commands for operators need nothing of the local stack; `headrace.local.directory` writes it.
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
    """What was written last, whether or not its writer still lives."""
    try:
        state: dict[str, Any] = json.loads((directory / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return state


def read_run(directory: Path) -> dict[str, Any] | None:
    """What the stack on this directory is, for another process; None when none runs.

    Keys: pid, started, ready, engines (rows of `EngineStatus`), and what `Engines.publish` added.
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
    """When a process began, which tells it from a later one of the same number; None when there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def is_still(pid: int | None, began: float | None) -> bool:
    """Whether the process of this number is the one that began then."""
    if pid is None or began is None:
        return False
    now = started(pid)
    # The system tells it in hundredths since boot, so a corrected clock moves it a little.
    return now is not None and abs(now - began) < 1.0
