"""Where the console shows things."""

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from headrace.run_file import read_run


def console_of(directory: Path) -> str:
    """Return the URL of the console of the stack that runs on a directory; empty if there is none."""
    run: dict[str, Any] = read_run(directory) or {}
    return str(run.get("services", {}).get("console", {}).get("url", ""))


def payload_page(console: str, request_id: str, org_id: str = "") -> str:
    """Return the URL of a payload's page; empty without a console."""
    if not console:
        return ""
    query = f"?{urlencode({'org': org_id})}" if org_id else ""
    return f"{console}/console/payloads/{quote(request_id, safe='')}{query}"
