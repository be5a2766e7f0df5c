"""Creates a new package of rules for ``headrace rules new``."""

import importlib.util
import keyword
import re
from importlib import resources
from pathlib import Path
from typing import Final

from headrace.runtime.errors import ConfigurationError

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_TEMPLATES: Final = "templates"
_ENDING: Final = ".txt"
_PACKAGE_MARK: Final = "PACKAGE"


def scaffold(directory: Path, name: str) -> list[Path]:
    """Write the package into a new directory of that name and return its files.

    Raises:
        ConfigurationError: the name is not valid for a package, or is taken.
    """
    _check(name)
    target = directory / name
    if target.exists():
        raise ConfigurationError(f"{target} already exists")
    package = _package_of(name)
    templates = resources.files("headrace.rules") / _TEMPLATES
    with resources.as_file(templates) as root:
        files = sorted(path for path in root.rglob(f"*{_ENDING}") if path.is_file())
        return [_written(path, root, target, package, name) for path in files]


def _check(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"got the name {name!r}, expected a lower-case letter, then up to 39 letters, digits, - or _"
        )


def _package_of(name: str) -> str:
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or importlib.util.find_spec(package) is not None:
        raise ConfigurationError(f"got the name {name!r}, but a module {package} already exists")
    return package


def _written(template: Path, root: Path, target: Path, package: str, name: str) -> Path:
    relative = str(template.relative_to(root)).removesuffix(_ENDING).replace(_PACKAGE_MARK, package)
    path = target / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    text = template.read_text(encoding="utf-8")
    path.write_text(text.replace("{{package}}", package).replace("{{name}}", name), encoding="utf-8")
    return path
