"""`engine stop`, `engine start`: keeps an engine of a running stack stopped for as long as somebody wants.

The wish is a file, ``held/NAME`` in the stack's directory, which the stack follows (`headrace.local.stack`); what came
of it is in `run.json`. So a test in any language can make an outage, and a killed stack forgets it.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headrace.local.directory import HELD
from headrace.run_file import running_stack
from headrace.runtime.errors import ConfigurationError, Permanent

_WITHIN_SECONDS: Final = 90.0
_POLL_SECONDS: Final = 0.05


def hold(directory: Path, name: str) -> None:
    """Stop an engine and keep it stopped; returns when it has stopped."""
    _check(directory, name)
    wish = directory / HELD / name
    wish.parent.mkdir(exist_ok=True)
    wish.touch()
    _wait_for(directory, name, "held")


def release(directory: Path, name: str) -> None:
    """Start an engine that is held; returns when it answers."""
    _check(directory, name)
    (directory / HELD / name).unlink(missing_ok=True)
    _wait_for(directory, name, "ready")


def _check(directory: Path, name: str) -> None:
    engines = _engines(directory)
    if name not in engines:
        raise ConfigurationError(f"got engine {name!r}, expected one of {', '.join(engines)}")
    if engines[name]["state"] == "given":
        raise ConfigurationError(
            f"{name} was given to the stack by URL; only engines that it started itself can be stopped"
        )


def _wait_for(directory: Path, name: str, wanted: str) -> None:
    deadline = time.monotonic() + _WITHIN_SECONDS
    while (row := _engines(directory)[name])["state"] != wanted:
        if row["state"] == "failed":
            raise Permanent(f"{name} does not start: {row['reason'] or 'see'} {row['log']}")
        if time.monotonic() > deadline:
            raise Permanent(f"{name} is {row['state']}, not {wanted}, after {_WITHIN_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


def _engines(directory: Path) -> Mapping[str, Mapping[str, Any]]:
    return {row["name"]: row for row in running_stack(directory)["engines"]}
