"""Data directories and plans for the collector's tests."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

from headrace_services.ols_collector.plan import Plan
from headrace_services.ols_collector.settings import USER_AGENT

CLUSTER_ID = "6d8c8a4e-8f4f-4b0a-9d8e-2f4a2b1c0d11"
URL = "http://127.0.0.1:1"


def write(root: Path, name: str, text: str = '{"a":1}', *, age_seconds: float = 0.0) -> Path:
    """A data file, last changed so long ago."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if age_seconds:
        moment = path.stat().st_mtime - age_seconds
        os.utime(path, (moment, moment))
    return path


def plan(root: Path, url: str = URL, **changes: Any) -> Plan:
    """One cycle, no waits, a direct token."""
    terms: dict[str, Any] = {
        "data_storage": str(root),
        "ingress_url": f"{url}/upload",
        "sso_url": f"{url}/sso",
        "accounts_url": f"{url}/accounts",
        "user_agent": USER_AGENT,
        "initial_wait": 0.0,
        "collection_interval": 0.0,
        "ingress_base_delay": 0.0,
        "cluster_id": CLUSTER_ID,
        "auth_token": "direct-token-value",
        "log_level": "DEBUG",
    }
    return Plan(**terms | changes)


def names(root: Path) -> set[str]:
    """The data files there are."""
    return {str(path.relative_to(root)) for path in root.rglob("*.json")}


def members(archive: bytes) -> dict[str, bytes]:
    """Name and content of each file of a tar.gz, in its order."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}
