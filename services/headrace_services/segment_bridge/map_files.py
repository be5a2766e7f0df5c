"""The two maps as files: ``UID_MAP_FILE`` and ``WS_MAP_FILE``."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from headrace.runtime.errors import ConfigurationError

Id: TypeAlias = str | orjson.Fragment

_WHOLE_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Maps:
    """User name to id in its final form, and namespace to workspace (its owner's name)."""

    ids: Mapping[str, Id] = field(repr=False)
    workspaces: Mapping[str, str] = field(repr=False)


def paired(ids: Mapping[str, Id], workspaces: Mapping[str, str]) -> Maps:
    """Return both maps; raises `ConfigurationError` if they would drop every row."""
    if ids.keys().isdisjoint(workspaces.values()):
        raise ConfigurationError(
            "UID_MAP_FILE, WS_MAP_FILE: the map of users contains no workspace owner, so every row would "
            "be dropped"
        )
    return Maps(ids, workspaces)


def read_maps(ids_file: str, workspaces_file: str, *, numeric: bool) -> Maps:
    """Read both maps from files."""
    return paired(
        ids_of(read_map(ids_file, "UID_MAP_FILE"), "UID_MAP_FILE", numeric=numeric),
        workspaces_of(read_map(workspaces_file, "WS_MAP_FILE"), "WS_MAP_FILE"),
    )


def read_map(path: Path | str, variable: str) -> dict[str, Any]:
    """Read a JSON object; raises `ConfigurationError` that names the variable if there is none.

    Upstream would drop every record silently.
    """
    if not str(path):
        raise ConfigurationError(f"{variable}: not set, expected a file with a JSON object")
    file = Path(path).expanduser()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{variable}: {file} cannot be read: {error.strerror}") from None
    if not content.strip():
        raise ConfigurationError(f"{variable}: {file} is empty, expected a JSON object")
    try:
        # orjson would lose digits of ids with more than 64 bits.
        found = json.loads(content)
    except ValueError as error:
        raise ConfigurationError(f"{variable}: {file} is not JSON: {_where(error)}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"{variable}: {file} contains a {type(found).__name__}, expected a JSON object"
        )
    return found


def workspaces_of(found: Mapping[str, Any], source: str) -> dict[str, str]:
    """Return the map of namespaces to workspaces; null and false count as missing."""
    return {key: value for key, value in _present(found, source) if _is_text(value, source)}


def ids_of(found: Mapping[str, Any], source: str, *, numeric: bool) -> dict[str, Id]:
    """Return the map of user names to ids: texts or, as upstream accepts, numbers."""
    return {key: _id(value, source, numeric=numeric) for key, value in _present(found, source)}


def _present(found: Mapping[str, Any], source: str) -> list[tuple[str, Any]]:
    pairs = [(key, value) for key, value in found.items() if value is not None and value is not False]
    if not pairs:
        raise ConfigurationError(f"{source}: the map is empty, every row would be dropped")
    if any(isinstance(value, str) and not value.strip() for _, value in pairs):
        raise ConfigurationError(f"{source}: a value is empty, expected text or a whole number")
    return pairs


def _id(value: Any, source: str, *, numeric: bool) -> Id:
    if isinstance(value, bool) or not isinstance(value, str | int):
        # Keys are names of users, so errors do not show them.
        raise ConfigurationError(f"{source}: a value is {_shown(value)}, expected text or a whole number")
    text = str(value)
    if numeric and _WHOLE_NUMBER.fullmatch(text):
        return orjson.Fragment(text)
    return text


def _is_text(value: Any, source: str) -> bool:
    if not isinstance(value, str):
        raise ConfigurationError(f"{source}: a value is {_shown(value)}, expected text")
    return True


def _shown(value: Any) -> str:
    return f"a {type(value).__name__}" if isinstance(value, dict | list) else repr(value)


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is not UTF-8"
