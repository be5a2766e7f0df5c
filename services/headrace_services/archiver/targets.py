"""Which service's archives go where: the table, as an operator writes it. No I/O but reading a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from headrace.objects.endpoint import S3Endpoint
from headrace.runtime.errors import ConfigurationError
from headrace_services.archiver.settings import ArchiverSettings, TargetRow
from headrace_services.archiver.templates import KeyTemplate

ANNOUNCE_TOPIC: Final = "platform.upload.announce"


@dataclass(frozen=True)
class Target:
    """Where a service's archives go; no ``endpoint`` means the platform's own S3."""

    bucket: str
    endpoint: S3Endpoint | None
    template: KeyTemplate


def targets(settings: ArchiverSettings) -> dict[str, Target]:
    """The whole table, by service; raises `ConfigurationError` naming what is wrong in it."""
    rows = (
        _rows_of_map_file(settings.bucket_map_file) if settings.bucket_map_file else dict(settings.services)
    )
    if not rows:
        raise ConfigurationError("ARCHIVER_SERVICES: got an empty table, expected at least one service")
    endpoints = {
        name: S3Endpoint.parse(url, region=settings.endpoint_region)
        for name, url in settings.endpoints.items()
    }
    return {service: _target(service, row, settings, endpoints) for service, row in rows.items()}


def _target(
    service: str, row: TargetRow, settings: ArchiverSettings, endpoints: dict[str, S3Endpoint]
) -> Target:
    name = row.endpoint or settings.endpoint
    if name and name not in endpoints:
        known = ", ".join(sorted(endpoints)) or "none"
        raise ConfigurationError(
            f"archives of {service}: got endpoint {name!r}, ARCHIVER_ENDPOINTS has {known}"
        )
    return Target(
        bucket=row.bucket or settings.bucket,
        endpoint=endpoints[name] if name else None,
        template=KeyTemplate.parse(row.format),
    )


def _rows_of_map_file(path: str) -> dict[str, TargetRow]:
    """Storage-broker's table: topic, then ``services``, then service to format and bucket."""
    try:
        table: Any = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"BUCKET_MAP_FILE: cannot read {path!r}: {error}") from error
    topic = table.get(ANNOUNCE_TOPIC) if isinstance(table, dict) else None
    services = topic.get("services") if isinstance(topic, dict) else None
    if not isinstance(services, dict):
        raise ConfigurationError(
            f"BUCKET_MAP_FILE: {path!r} has no {ANNOUNCE_TOPIC}: services: <service>: {{format, bucket}}"
        )
    try:
        return {
            # Which code reads an identity is not the table's to say here.
            str(service): TargetRow.model_validate({k: v for k, v in row.items() if k != "normalizer"})
            for service, row in services.items()
        }
    except (ValidationError, AttributeError) as error:
        raise ConfigurationError(f"BUCKET_MAP_FILE: {path!r}: {error}") from error
