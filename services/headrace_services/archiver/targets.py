"""The target bucket and key template of each service's archives."""

from dataclasses import dataclass

from headrace.objects.endpoint import S3Endpoint
from headrace.runtime.errors import ConfigurationError
from headrace_services.archiver.settings import ArchiverSettings, TargetRow
from headrace_services.archiver.templates import KeyTemplate


@dataclass(frozen=True)
class Target:
    """The place for a service's archives; an empty ``endpoint`` is the platform's own S3."""

    bucket: str
    endpoint: S3Endpoint | None
    template: KeyTemplate


def targets(settings: ArchiverSettings) -> dict[str, Target]:
    """Return the whole table, by service; raises `ConfigurationError` that names the fault."""
    endpoints = {
        name: S3Endpoint.parse(url, region=settings.endpoint_region)
        for name, url in settings.endpoints.items()
    }
    return {service: _target(service, row, settings, endpoints) for service, row in settings.table.items()}


def _target(
    service: str, row: TargetRow, settings: ArchiverSettings, endpoints: dict[str, S3Endpoint]
) -> Target:
    name = row.endpoint or settings.endpoint
    if name and name not in endpoints:
        known = ", ".join(sorted(endpoints)) or "none"
        raise ConfigurationError(
            f"archives of {service}: got endpoint {name!r}, expected a name in ARCHIVER_ENDPOINTS: {known}"
        )
    return Target(
        bucket=row.bucket or settings.bucket,
        endpoint=endpoints[name] if name else None,
        template=KeyTemplate.parse(row.format),
    )
