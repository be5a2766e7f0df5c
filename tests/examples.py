"""The example services of the documents, taken out of their pages."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import headrace_services
from headrace.service.row import Service
from headrace_services import registry

DOCUMENTS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```\w+\n(?:#|--) (?P<path>services/\S+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = "services/headrace_services/registry.py"


def blocks(page: str) -> dict[str, str]:
    """Path to code, of every block of a page that names a file."""
    text = (DOCUMENTS / page).read_text(encoding="utf-8")
    return {block["path"]: block["code"] for block in _BLOCK.finditer(text)}


@contextmanager
def installed(page: str, directory: Path) -> Iterator[Service]:
    """The row of a page's service, whose folder is written below `directory` and can be imported."""
    files = blocks(page)
    row: Service = eval(files.pop(_ROW), vars(registry).copy())  # noqa: S307 -- our own document
    for path, code in files.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(code, encoding="utf-8")
    folder = str(directory / "services" / "headrace_services")
    with pytest.MonkeyPatch.context() as patch:
        # In front of a folder of that name that somebody's attempt left.
        patch.setattr(headrace_services, "__path__", [folder, *headrace_services.__path__])
        try:
            yield row
        finally:
            for name in [name for name in sys.modules if f"{name}.".startswith(f"{row.package}.")]:
                del sys.modules[name]


def touched(page: str, row: Service) -> set[str]:
    """The files of a page's blocks outside the service's own folder."""
    return {path for path in blocks(page) if not path.startswith(f"services/headrace_services/{row.name}/")}
