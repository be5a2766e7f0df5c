"""The messages that the assisted service logs about an installation, in order."""

from dataclasses import dataclass
from typing import Final

Told = tuple[str, str, str, int]
"""The name, severity and message of an event, and the minutes since registration."""


@dataclass(frozen=True)
class End:
    """An end of an installation: the cluster's status text and the last event."""

    status_info: str
    event: Told


EVENTS: Final[tuple[Told, ...]] = (
    ("cluster_registration_succeeded", "info", "Successfully registered cluster", 0),
    ("infra_env_registered", "info", "Successfully registered InfraEnv {name}_infra-env", 0),
    ("image_info_updated", "info", "Updated image information (Image type is full-iso)", 1),
    ("host_registration_succeeded", "info", "Host {host}: Successfully registered", 6),
    ("host_status_updated", "info", "Host {host}: updated status from discovering to known", 8),
    ("cluster_status_updated", "info", "Updated status of the cluster to ready", 12),
    ("cluster_status_updated", "info", "Updated status of the cluster to preparing-for-installation", 13),
    (
        "host_validation_failed",
        "warning",
        "Host {host}: validation ntp-synced that used to succeed fails",
        14,
    ),
    ("host_validation_fixed", "info", "Host {host}: validation ntp-synced is now fixed", 16),
    ("cluster_status_updated", "info", "Updated status of the cluster to installing", 17),
    ("host_install_progress_updated", "info", "Host {host}: reached stage Writing image to disk", 22),
    ("host_install_progress_updated", "info", "Host {host}: reached stage Rebooting", 27),
)
# These events repeat until an installation has the requested number of events.
PROGRESS: Final = (
    "host_install_progress_updated",
    "info",
    "Host {host}: reached stage Writing image to disk, step",
)
AFTERWARDS: Final[tuple[Told, ...]] = (
    ("host_status_updated", "info", "Host {host}: updated status from installing to installed", 46),
    ("cluster_status_updated", "info", "Updated status of the cluster to finalizing", 47),
)
_COMPLETED: Final = (
    "cluster_installation_completed",
    "info",
    "Successfully completed installing cluster",
    71,
)
ENDS: Final = {
    "installed": End("Cluster is installed", _COMPLETED),
    "adding-hosts": End("Cluster is adding hosts", _COMPLETED),
    "cancelled": End(
        "Cluster was cancelled",
        ("cluster_installation_canceled", "info", "Canceled cluster installation", 71),
    ),
    "error": End(
        "cluster has hosts in error",
        (
            "cluster_installation_failed",
            "critical",
            "Failed installing cluster. Reason: cluster has hosts in error",
            71,
        ),
    ),
}
HOST_EVENT_PREFIX = "host_"
VERSIONS = {
    "assisted-installer": "quay.io/edge-infrastructure/assisted-installer:v2.44.0",
    "assisted-installer-controller": "quay.io/edge-infrastructure/assisted-installer-controller:v2.44.0",
    "assisted-installer-service": "quay.io/edge-infrastructure/assisted-service:v2.44.0",
    "discovery-agent": "quay.io/edge-infrastructure/assisted-installer-agent:v2.44.0",
}
OPENSHIFT_VERSION = "4.16.12"
