"""All that rules packages say to people, as content services serve it: every rule with its keys, texts and risks."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from headrace.rules.content import graded, read_text, read_yaml
from headrace.runtime.errors import ConfigurationError

_TEXTS: Final = ("generic", "summary", "resolution", "more_info", "reason")
_RULE_SUFFIX: Final = ".report"
_MAX_TEXT_BYTES: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class KeyContent:
    """What is said of one key of a rule; a grade that the content does not give is 0, as is the risk then."""

    description: str
    impact: int
    likelihood: int
    publish_date: str
    status: str
    tags: tuple[str, ...]
    texts: dict[str, str]

    @property
    def total_risk(self) -> int:
        """Return the mean of impact and likelihood, rounded down, as smart proxies have it."""
        return (self.impact + self.likelihood) // 2


@dataclass(frozen=True, slots=True)
class RuleContent:
    """What is said of a rule: ``module`` is its Python module, ``texts`` are those that every key has."""

    module: str
    name: str
    node_id: str
    product_code: str
    texts: dict[str, str]
    keys: dict[str, KeyContent] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """The content of every rule, by its module."""

    rules: MappingProxyType[str, RuleContent]

    @classmethod
    def of(cls, packages: Iterable[str]) -> "Catalogue":
        """Read what packages say of their rules; raises `ConfigurationError` for a package that is not installed."""
        found = {rule.module: rule for package in packages for rule in _rules(package)}
        return cls(MappingProxyType(dict(sorted(found.items()))))

    def key(self, rule: str, error_key: str) -> KeyContent | None:
        """Return what is said of a rule's key; the rule is its component, with or without ``.report``."""
        found = self.rules.get(rule.removesuffix(_RULE_SUFFIX))
        return found.keys.get(error_key) if found else None

    def total_risk(self, rule: str, error_key: str) -> int:
        """Return the risk, 1 to 4; 0 where nothing is said of it."""
        content = self.key(rule, error_key)
        return content.total_risk if content else 0


NOTHING_KNOWN: Final = Catalogue(MappingProxyType({}))
"""For where no package is read."""


def _rules(package: str) -> list[RuleContent]:
    folder = _content_folder(package)
    if folder is None:
        return []
    weights = read_yaml(folder / "config.yaml").get("impact")
    return [
        _rule(package, path, weights if isinstance(weights, dict) else {})
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.is_symlink()
    ]


def _content_folder(package: str) -> Path | None:
    """Return the package's ``content``, without running the package itself."""
    top, *inner = package.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise ConfigurationError(f"the rules package {package!r} is not installed")
    for place in spec.submodule_search_locations or ():
        folder = Path(place, *inner, "content")
        if folder.is_dir():
            return folder
    return None


def _rule(package: str, folder: Path, weights: dict[str, Any]) -> RuleContent:
    plugin = read_yaml(folder / "plugin.yaml")
    module = plugin.get("python_module") or f"{package}.rules.{folder.name}"
    rule = RuleContent(
        module=str(module),
        name=_word(plugin.get("name")),
        node_id=_word(plugin.get("node_id")),
        product_code=_word(plugin.get("product_code")),
        texts={part: _text(folder / f"{part}.md") for part in _TEXTS},
    )
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            rule.keys[path.name] = _key(path, rule, weights)
    return rule


def _key(folder: Path, rule: RuleContent, weights: dict[str, Any]) -> KeyContent:
    metadata = read_yaml(folder / "metadata.yaml")
    impact = metadata.get("impact")
    if isinstance(impact, str):
        impact = weights.get(impact)
    tags = metadata.get("tags")
    return KeyContent(
        description=_word(metadata.get("description")) or rule.name,
        impact=graded(impact) or 0,
        likelihood=graded(metadata.get("likelihood")) or 0,
        publish_date=_word(metadata.get("publish_date")),
        status=_word(metadata.get("status")),
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        texts={part: _text(folder / f"{part}.md") or rule.texts[part] for part in _TEXTS},
    )


def _word(value: Any) -> str:
    return "" if value is None else str(value)


def _text(path: Path) -> str:
    return read_text(path) if path.is_file() and path.stat().st_size <= _MAX_TEXT_BYTES else ""
