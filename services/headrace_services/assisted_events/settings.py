"""The settings of assisted_events."""

from typing import Any, Final

from pydantic import field_validator

from headrace.runtime.durations import duration_seconds
from headrace.runtime.settings import Settings, env

AS_DESIGNED: Final = "as-designed"
AS_BUILT: Final = "as-built"
_IMAGES: Final = "quay.io/edge-infrastructure"
BUILT_IN_RATE_LIMITS: Final = dict.fromkeys(
    ("upgrade_agent_failed", "upgrade_agent_finished", "upgrade_agent_started"), "1h"
)

# Upstream's variables that have no effect here.
WITHOUT_EFFECT: Final = {
    f"DB_{name}": "ASSISTED_DATABASE_URL says where the installer's database is"
    for name in ("HOST", "PORT", "USER", "PASS", "NAME")
}


class AssistedSettings(Settings):
    """Settings of the assisted installer's events sender."""

    enabled: bool = env(
        "ENABLE_DATA_COLLECTION", True, "false, or set but empty: nothing is sent (opt-out)", blank=False
    )
    endpoint: str = env(
        "DATA_UPLOAD_ENDPOINT",
        "https://console.redhat.com/api/ingress/v1/upload",
        "URL to which archives are uploaded",
        pattern="^https?://",
    )
    interval: str = env(
        "CLUSTER_EVENTS_UPLOADER_INTERVAL",
        "15m",
        "Go duration; interval at which all clusters are checked for missed notifications",
    )
    deployment_type: str = env("DEPLOYMENT_TYPE", "", "`ACM`, `MCE`, `Operator` …, written to metadata.json")
    deployment_version: str = env("DEPLOYMENT_VERSION", "", "version of that deployment")
    install_invoker: str = env(
        "INSTALL_INVOKER", "assisted-installer", "`agent-installer` changes the deployment type to `ABI`"
    )
    git_ref: str = env("ASSISTED_GIT_REF", "headrace", "revision in metadata.json and the User-Agent")
    self_version: str = env(
        "SELF_VERSION", f"{_IMAGES}/assisted-service:latest", "the service's image, for versions.json"
    )
    installer_image: str = env(
        "INSTALLER_IMAGE", f"{_IMAGES}/assisted-installer:latest", "the installer's image, for versions.json"
    )
    controller_image: str = env(
        "CONTROLLER_IMAGE",
        f"{_IMAGES}/assisted-installer-controller:latest",
        "the controller's image, for versions.json",
    )
    agent_image: str = env(
        "AGENT_DOCKER_IMAGE",
        f"{_IMAGES}/assisted-installer-agent:latest",
        "the discovery agent's image, for versions.json",
    )
    database_url: str = env(
        "ASSISTED_DATABASE_URL",
        "",
        "PostgreSQL database of an assisted-service, which is only read; empty: Headrace's own tables",
        repr=False,
    )
    send_earlier: bool = env(
        "ASSISTED_SEND_EARLIER",
        False,
        "also send installations in that database that ended before this service first started",
    )
    pull_secret_file: str = env(
        "ASSISTED_PULL_SECRET_FILE",
        "",
        (
            "pull secret of the management cluster (`.dockerconfigjson`); it is read for each upload, so it "
            "can be rotated"
        ),
    )
    pull_secret: str = env(
        "ASSISTED_PULL_SECRET", "", "pull secret of the management cluster as text", repr=False
    )
    either_pull_secret: bool = env(
        "ASSISTED_EITHER_PULL_SECRET",
        False,
        (
            "`cloud.openshift.com` in one of the two pull secrets is sufficient, as in upstream's code; by "
            "default both the management cluster's secret and the cluster's own opt out if they lack it"
        ),
    )
    sanitising: str = env(
        "ASSISTED_SANITISING",
        AS_DESIGNED,
        (
            "`as-designed`: users are hashed and secrets removed; `as-built`: everything is sent that "
            "upstream's code sends"
        ),
        pattern="^(as-designed|as-built)$",
    )
    all_infra_envs: bool = env(
        "ASSISTED_ALL_INFRA_ENVS",
        True,
        "also send the infra-envs of the other hosts, in events/infraenvs.json",
    )
    max_attempts: int = env(
        "ASSISTED_MAX_ATTEMPTS", 10, "number of upload attempts after which a cluster is given up", ge=1
    )
    secret_days: float = env(
        "ASSISTED_SECRET_DAYS",
        7.0,
        "number of days for which a refused secret (401, 403) does not count as an attempt",
        ge=0,
    )
    retry_seconds: float = env(
        "ASSISTED_RETRY_SECONDS",
        30.0,
        "wait after the first failed upload, doubled after each further failure",
        gt=0,
    )
    max_retry_seconds: float = env(
        "ASSISTED_MAX_RETRY_SECONDS", 3600.0, "longest wait between attempts", gt=0
    )
    upload_seconds: float = env("ASSISTED_UPLOAD_SECONDS", 60.0, "deadline of one upload", gt=0)
    connect_seconds: float = env(
        "ASSISTED_CONNECT_SECONDS", 10.0, "deadline of the connection with its TLS handshake", gt=0
    )
    probe_seconds: float = env(
        "ASSISTED_PROBE_SECONDS",
        5.0,
        "time in which the endpoint must answer each of up to three probes",
        gt=0,
    )
    spool_directory: str = env(
        "ASSISTED_SPOOL_DIRECTORY",
        "",
        "directory in which an archive is built before it is sent; empty: the system's temporary directory",
    )
    max_archive_bytes: int = env(
        "ASSISTED_MAX_ARCHIVE_BYTES", 1 << 30, "largest total size of an archive's members", gt=0
    )
    rate_limits: dict[str, float] = env(
        "EVENT_RATE_LIMITS",
        {},
        (
            'JSON object that maps an event name to a Go duration (`{"host_status_updated": "10m"}`): an event '
            "that follows another with the same name, cluster, host and infra-env sooner is discarded; three "
            "agent events have `1h`"
        ),
    )
    max_replay_bytes: int = env(
        "ASSISTED_MAX_REPLAY_BYTES", 32 << 20, "largest member of an archive that can be replayed", gt=0
    )
    token: str = env(
        "ASSISTED_EVENTS_TOKEN",
        "",
        (
            "bearer token that the REST API requires; empty: it answers 401, unless HEADRACE_LENIENT or "
            "ASSISTED_EVENTS_AUTH opens it"
        ),
        pattern="^[!-~]*$",
        repr=False,
    )
    auth: bool | None = env(
        "ASSISTED_EVENTS_AUTH",
        None,
        (
            "false: without ASSISTED_EVENTS_TOKEN the REST API is open, for a port that only trusted programs "
            "can reach; unset: false if HEADRACE_LENIENT is on"
        ),
    )

    @field_validator("interval")
    @classmethod
    def _is_a_duration(cls, value: str) -> str:
        if duration_seconds(value) <= 0:
            raise ValueError("expected a positive duration")
        return value

    @field_validator("rate_limits", mode="before")
    @classmethod
    def _are_durations(cls, value: Any) -> dict[str, float]:
        if not isinstance(value, dict):
            raise ValueError("expected a JSON object, event name to Go duration")  # noqa: TRY004 -- pydantic's
        limits = {**BUILT_IN_RATE_LIMITS, **value}
        return {
            name: duration_seconds(limit) if isinstance(limit, str) else limit
            for name, limit in limits.items()
        }

    @property
    def interval_seconds(self) -> float:
        """The interval of the periodic check."""
        return duration_seconds(self.interval)

    @property
    def versions(self) -> dict[str, str]:
        """The content of versions.json."""
        return {
            "assisted-installer": self.installer_image,
            "assisted-installer-controller": self.controller_image,
            "assisted-installer-service": self.self_version,
            "discovery-agent": self.agent_image,
        }

    @property
    def deployment(self) -> dict[str, str]:
        """The content of metadata.json beside the versions."""
        kind = "ABI" if self.install_invoker == "agent-installer" else self.deployment_type
        return {
            "deployment-type": kind,
            "deployment-version": self.deployment_version,
            "git-ref": self.git_ref,
        }
