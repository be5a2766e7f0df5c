"""compose.yaml as an engine reads it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+):(?:-(?P<default>[^{}]*)|\?[^{}]*)\}")
# What has no default: compose itself refuses to go on without.
UNSET = "unset"


def variables() -> dict[str, str]:
    """What compose would replace them by: the environment's, else those of .env beside the file."""
    file = ROOT / ".env"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    named = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in named} | dict(os.environ)


def composed(environment: Mapping[str, str] | None = None, *files: Path) -> dict[str, Any]:
    """The file with its variables replaced; `files` are read after it and change what they name."""
    environment = environment or {}

    def value(match: re.Match[str]) -> str:
        return environment.get(match["name"]) or (UNSET if match["default"] is None else match["default"])

    found: dict[str, Any] = {}
    for file in (COMPOSE, *files):
        text = _VARIABLE.sub(value, file.read_text(encoding="utf-8"))
        found = merged(found, yaml.safe_load(text))
    return found


def merged(one: Any, other: Any) -> Any:
    """As engines merge: mappings by key, lists one behind the other but for what is run, all else replaced."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {
            name: value if name in {"command", "entrypoint"} else merged(one.get(name), value)
            for name, value in other.items()
        }
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    return other


def serving(found: Mapping[str, Any]) -> dict[str, str]:
    """Compose's name by the registry's, of every container that serves one."""
    return {
        service["command"][1]: name
        for name, service in found["services"].items()
        if service.get("command", [])[:1] == ["serve"]
    }
