"""The settings of the archiver."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace.contracts.topics import UPLOAD_ANNOUNCE
from headrace.contracts.uploads import ARCHIVED
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import Settings, env
from headrace_services.archiver.templates import CLUSTER_LAYOUT


class TargetRow(BaseModel):
    """One row of the table; omitted values are the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket: str = ""
    endpoint: str = ""
    format: str = Field(default=CLUSTER_LAYOUT, description="key template")


class ArchiverSettings(Settings):
    """Settings of the archiver."""

    bucket: str = env(
        "ARCHIVER_BUCKET",
        "insights-archives",
        "bucket of services whose entry names none (MinIO and AWS accept lower-case names only)",
    )
    services: dict[str, TargetRow] = env(
        "ARCHIVER_SERVICES",
        {name: TargetRow() for name in ARCHIVED},
        (
            "JSON object that maps a service to `bucket`, `endpoint` (a name in ARCHIVER_ENDPOINTS) and "
            "`format` (key template), each optional"
        ),
    )
    endpoint: str = env(
        "ARCHIVER_ENDPOINT",
        "",
        "name in ARCHIVER_ENDPOINTS for services whose entry names none; empty: HEADRACE_S3",
    )
    endpoints: dict[str, str] = env(
        "ARCHIVER_ENDPOINTS", {}, "JSON object that maps a name to `https://key:secret@host:port`", repr=False
    )
    endpoint_region: str = env("ARCHIVER_ENDPOINT_REGION", "us-east-1", "region of these endpoints")
    bucket_map_file: str = env(
        "BUCKET_MAP_FILE", "", "storage-broker's YAML table; replaces ARCHIVER_SERVICES"
    )
    stage_bucket: str = env(
        "INGRESS_STAGEBUCKET", "insights-upload-perma", "bucket where ingress stores uploads"
    )
    allowed_hosts: frozenset[str] = env(
        "ARCHIVER_ALLOWED_HOSTS",
        frozenset(),
        (
            "JSON list of `host` or `host:port` from which uploads that another ingress announced may be "
            "fetched; Headrace's own S3 is always read with its own keys"
        ),
    )
    max_fetch_bytes: int = env(
        "ARCHIVER_MAX_FETCH_BYTES", 1 << 30, "largest upload that is fetched from these hosts", gt=0
    )
    fetch_seconds: float = env(
        "ARCHIVER_FETCH_SECONDS", 120.0, "deadline of one fetch from these hosts", gt=0
    )
    url_seconds: int = env("API_URL_EXPIRY", 30, "lifetime of the URLs of `/archive/url`", gt=0, le=604_800)
    auth: bool = env(
        "ARCHIVER_AUTH",
        True,
        (
            "require an `x-rh-identity` and show an organisation only its own archives; false shows all "
            "archives to everyone, like storage-broker, for a port that only trusted services can reach"
        ),
    )

    @cached_property
    def table(self) -> Mapping[str, TargetRow]:
        """The rows by service, from the setting or the file; raises `ConfigurationError` that names the fault."""
        rows = _rows_of_map_file(self.bucket_map_file) if self.bucket_map_file else self.services
        if not rows:
            raise ConfigurationError("ARCHIVER_SERVICES: got an empty table, expected at least one service")
        return rows

    @property
    def archived_services(self) -> frozenset[str]:
        """The services whose archives are copied."""
        return frozenset(self.table)


def _rows_of_map_file(path: str) -> dict[str, TargetRow]:
    """Read storage-broker's table: topic, then ``services``, then service to format and bucket."""
    try:
        table: Any = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"BUCKET_MAP_FILE: cannot read {path!r}: {error}") from error
    topic = table.get(UPLOAD_ANNOUNCE.name) if isinstance(table, dict) else None
    services = topic.get("services") if isinstance(topic, dict) else None
    if not isinstance(services, dict):
        raise ConfigurationError(
            f"BUCKET_MAP_FILE: {path!r} has no {UPLOAD_ANNOUNCE.name}: services: <service>: {{format, bucket}}"
        )
    try:
        return {
            # `normalizer` selects upstream's reader of identities; Headrace has only one.
            str(service): TargetRow.model_validate({k: v for k, v in row.items() if k != "normalizer"})
            for service, row in services.items()
        }
    except (ValidationError, AttributeError) as error:
        raise ConfigurationError(f"BUCKET_MAP_FILE: {path!r}: {error}") from error
