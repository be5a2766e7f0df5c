"""``run.json`` in the data directory of a local stack, by which other processes find the running stack.

`headrace.local.directory` writes the file. This module reads it, so that commands and services that look for a running
stack do not import `headrace.local`.
"""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from headrace.runtime.errors import ConfigurationError

NAME: Final = "run.json"
_LOOK_SECONDS: Final = 2.0

Run = Mapping[str, Any]


def written_run(directory: Path) -> dict[str, Any]:
    """Return the content of the file, even if its writer has ended; empty where it is no state of a stack."""
    try:
        state = json.loads((directory / NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return state if isinstance(state, dict) and {"pid", "started"} <= state.keys() else {}


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
        raise _none(directory)
    return run


def service_url(directory: Path, name: str, *, default: str = "") -> str:
    """Return the URL of a service of the running stack; where none runs the default, if something listens there.

    Raises ConfigurationError where there is neither, and while the stack starts.
    """
    if default and read_run(directory) is None:
        return checked_default(directory, default)
    run = running_stack(directory)
    if "services" not in run:
        raise ConfigurationError(
            f"the stack in {directory.absolute()} is still starting: `headrace status` shows when it is ready"
        )
    if name not in run["services"]:
        raise ConfigurationError(f"{name} is not part of the stack in {directory.absolute()}")
    return str(run["services"][name]["url"])


def checked_default(directory: Path, url: str) -> str:
    """Return a default address if something listens there; raises ConfigurationError, for then no stack runs."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    try:
        socket.create_connection((parts.hostname, parts.port), _LOOK_SECONDS).close()
    except OSError:
        raise _none(directory, f" and nothing listens at {parts.hostname}:{parts.port}") from None
    return url


def _none(directory: Path, also: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"no stack is running in {directory.absolute()}{also}: start one with `headrace up`"
    )


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
