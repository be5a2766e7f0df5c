"""What an operator can set."""

from collections.abc import Mapping

from headrace.contracts.uploads import CONSUMERS
from headrace.runtime.settings import Settings, env


class TrackerSettings(Settings):
    """Settings of the payload tracker."""

    request_id_length: int = env(
        "VALIDATE_REQUEST_ID_LENGTH",
        0,
        (
            "reject statuses whose request id has another number of characters (upstream: 32); 0 accepts any "
            "length"
        ),
        ge=0,
    )
    auth: bool | None = env(
        "PAYLOAD_TRACKER_AUTH",
        None,
        (
            "require an `x-rh-identity` and show an organisation only its own payloads, and an associate all; "
            "false shows all payloads to a request without identity, like upstream, for a port that only "
            "trusted services can reach; unset: false if HEADRACE_LENIENT is on"
        ),
    )
    retention_days: int = env(
        "PAYLOAD_TRACKER_RETENTION_DAYS",
        30,
        "number of days after which payloads are deleted; 0 keeps all",
        ge=0,
    )
    stage_bucket: str = env(
        "INGRESS_STAGEBUCKET", "insights-upload-perma", "bucket in which ingress stores uploads by request id"
    )
    archive_link_role: str = env(
        "STORAGEBROKERURLROLE",
        "platform-archive-download",
        "role that an associate needs for the link to an upload",
    )
    archive_link_seconds: int = env(
        "PAYLOAD_TRACKER_ARCHIVE_LINK_SECONDS",
        60,
        "lifetime of the link to an upload",
        gt=0,
        le=604_800,
    )
    kibana_url: str = env(
        "KIBANA_URL", "", "Kibana's discover page, for links to a payload's log lines; empty: no links"
    )
    kibana_index: str = env("KIBANA_INDEX", "", "id of the index pattern in these links")
    kibana_service_field: str = env("KIBANA_SERVICE_FIELD", "app", "field that contains a log line's service")
    absent_consumers: tuple[str, ...] = env(
        "PAYLOAD_TRACKER_ABSENT_CONSUMERS",
        (),
        (
            'JSON list of services that this installation does not run, such as `["koku"]`: no payload waits for '
            "their statuses"
        ),
    )

    @property
    def expected(self) -> Mapping[str, frozenset[str]]:
        """Which services have to report on an upload for a service."""
        absent = {name.replace("_", "-") for name in self.absent_consumers}
        return {upload: services - absent for upload, services in CONSUMERS.items()}
