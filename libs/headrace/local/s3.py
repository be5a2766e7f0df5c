"""The common part of the S3 servers: addresses and credentials."""

import os
from pathlib import Path
from urllib.parse import quote

from headrace.local.engine import Engine
from headrace.local.ports import HOST, EnginePorts


def credentials_from_environment() -> dict[str, str]:
    """Return the credentials from the documents' variables, with the documents' defaults."""
    return {
        "access_key": os.environ.get("MINIO_ACCESS_KEY") or "minioaccesskey",
        "secret_key": os.environ.get("MINIO_SECRET_KEY") or "miniosecretkey",
    }


class S3Engine(Engine):
    """One of the S3 servers; they differ in program and options only."""

    name = "s3"

    def __init__(self, directory: Path, ports: EnginePorts) -> None:
        super().__init__(directory)
        self._ports = ports
        self._credentials = credentials_from_environment()

    @property
    def url(self) -> str:
        """`http://access:secret@host:port`."""
        key, secret = (quote(value, safe="") for value in self._credentials.values())
        return f"http://{key}:{secret}@{HOST}:{self._ports.s3}"

    @property
    def address(self) -> str:
        """The endpoint alone."""
        return f"http://{HOST}:{self._ports.s3}"

    @property
    def credentials(self) -> dict[str, str]:
        """`access_key` and `secret_key`."""
        return dict(self._credentials)
