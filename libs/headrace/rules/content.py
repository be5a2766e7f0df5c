"""The descriptions of rules: folders of Markdown beside the rules, in the layout that content services read.

A package has ``content/config.yaml`` (the weight of each impact) and for each rule, named after its module,
``content/RULE/`` with plugin.yaml and texts. ``content/RULE/KEY/`` may override the texts and has metadata.yaml.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

LOWEST, HIGHEST = 1, 4


@dataclass(frozen=True, slots=True)
class Content:
    """The description of one key of one rule; a missing text is empty, a missing number None."""

    description: str
    impact: int | None
    likelihood: int | None
    summary: str
    resolution: str


def content_of(component: str, key: str) -> Content | None:
    """Return the description of a rule (its full component name) and key; None if its package has none."""
    module = component.rpartition(".")[0]
    folder = _folder_of(module)
    if folder is None or not key.replace("_", "").isalnum():
        return None
    metadata = read_yaml(folder / key / "metadata.yaml")
    plugin = read_yaml(folder / "plugin.yaml")
    impact = metadata.get("impact")
    weights = read_yaml(folder.parent / "config.yaml").get("impact")
    if isinstance(impact, str) and isinstance(weights, dict):
        impact = weights.get(impact)
    return Content(
        description=str(metadata.get("description") or plugin.get("name") or ""),
        impact=graded(impact),
        likelihood=graded(metadata.get("likelihood")),
        summary=_text(folder, key, "summary"),
        resolution=_text(folder, key, "resolution"),
    )


def _folder_of(module: str) -> Path | None:
    """Return ``content/RULE`` of the nearest package above the module that has one."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    rule = module.rpartition(".")[2]
    packages = Path(spec.origin).parents[: module.count(".") + 1]
    folders = (package / "content" / rule for package in packages)
    return next((folder for folder in folders if folder.is_dir()), None)


def _text(folder: Path, key: str, part: str) -> str:
    for path in (folder / key / f"{part}.md", folder / f"{part}.md"):
        if path.is_file():
            return read_text(path)
    return ""


def read_text(path: Path) -> str:
    """Return a text without the space around it; bytes that are no UTF-8 are replaced."""
    return path.read_text(encoding="utf-8", errors="replace").strip()


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a file; an empty one where the file is missing or is no mapping."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def graded(value: object) -> int | None:
    """Return an impact or a likelihood; None where the value is none."""
    return value if isinstance(value, int) and LOWEST <= value <= HIGHEST else None
