"""All files that are generated from the services' table, by their path in the repository."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from headrace.deployment import manifests
from headrace.deployment.asyncapi import asyncapi
from headrace.deployment.dashboard import dashboard
from headrace.deployment.facts import Table
from headrace.deployment.picture import picture
from headrace.deployment.pods import Manifest, dashed
from headrace.runtime.errors import ConfigurationError
from headrace.service.row import Service

KUSTOMIZE: Final = Path("deploy/kustomize")
FACTS: Final = KUSTOMIZE / "services.yaml"
BASE: Final = KUSTOMIZE / "base"
KEDA: Final = KUSTOMIZE / "components/keda"
DASHBOARD: Final = KUSTOMIZE / "components/monitoring/dashboard.json"
ASYNCAPI: Final = Path("docs/asyncapi.json")
PICTURE: Final = Path("docs/flow.svg")
# Any other file in these folders belongs to a removed service and is deleted.
OWNED: Final = (BASE, KEDA)
_HEAD: Final = f"# Written by `make docs` from services/headrace_services/registry.py and {FACTS}.\n"


def written(rows: Sequence[Service], root: Path) -> dict[Path, str]:
    """Return text by path, relative to the repository at ``root``."""
    table = Table.read(root / FACTS, rows)
    scaled = manifests.scaled(table, rows)
    found = {
        BASE / "kustomization.yaml": _yaml([manifests.base_kustomization(table, rows)]),
        BASE / "init.yaml": _yaml(manifests.init_manifests(table, rows)),
        KEDA / "kustomization.yaml": _yaml([manifests.keda_kustomization(scaled)]),
        KEDA / "scaled-objects.yaml": _yaml([manifests.scaled_object(row, table.of(row)) for row in scaled]),
        DASHBOARD: dashboard(rows),
        ASYNCAPI: asyncapi(rows),
        PICTURE: picture(rows),
    }
    for row in rows:
        found[BASE / f"{dashed(row)}.yaml"] = _yaml(manifests.service_manifests(row, table, rows))
    return found


def left_over(files: dict[Path, str], root: Path) -> list[Path]:
    """Return the files in generated folders that are no longer generated."""
    return sorted(
        path.relative_to(root)
        for folder in OWNED
        for path in (root / folder).glob("*")
        if path.relative_to(root) not in files
    )


def write(rows: Sequence[Service], root: Path) -> list[Path]:
    """Write changed files and remove obsolete ones; return both."""
    files = written(rows, root)
    changed = []
    try:
        for path, text in files.items():
            target = root / path
            if target.exists() and target.read_text(encoding="utf-8") == text:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            changed.append(path)
        for path in left_over(files, root):
            (root / path).unlink()
            changed.append(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {error.filename}: {error.strerror}") from error
    return changed


class _Dumper(yaml.SafeDumper):
    """Writes repeated values in full, because aliases are hard to read."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _yaml(documents: Sequence[Manifest]) -> str:
    return _HEAD + yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=110, explicit_start=True)
