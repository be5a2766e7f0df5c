"""The events archive of an assisted installer: names, fields and identifiers."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

CONTENT_TYPE: Final = "application/vnd.redhat.assisted-installer.events+tar"
FILE_NAME: Final = "events.tgz"
SERVICE: Final = "assisted-installer"
USER_AGENT: Final = "assisted-installer-operator/{revision} cluster/{cluster_id}"
TELEMETRY_REGISTRY: Final = "cloud.openshift.com"

# Members below the cluster's id, in the order in which they are written.
CLUSTER_MEMBER: Final = "events/cluster.json"
HOSTS_MEMBER: Final = "events/hosts.json"
INFRA_ENV_MEMBER: Final = "events/infraenv.json"
EVENTS_MEMBER: Final = "events.json"
VERSIONS_MEMBER: Final = "versions.json"
METADATA_MEMBER: Final = "metadata.json"
# Headrace's own member: the infra-envs of hosts that infraenv.json leaves out.
MORE_INFRA_ENVS_MEMBER: Final = "events/infraenvs.json"

END_STATES: Final = ("error", "cancelled", "installed")
# The status of an installed cluster that accepts more hosts; its installation counts as installed.
ADDING_HOSTS: Final = "adding-hosts"

SEVERITIES: Final = ("info", "warning", "error", "critical")
CATEGORIES: Final = ("user", "metrics")
MAX_MESSAGE_CHARACTERS: Final = 4096
EVENT_FIELDS: Final = (
    "name", "message", "severity", "category", "event_time", "cluster_id", "host_id", "infra_env_id",
    "request_id", "props",
)  # fmt: skip
CLUSTER_FIELDS: Final = (
    "id", "kind", "href", "name", "status", "status_info", "status_updated_at", "openshift_version",
    "openshift_cluster_id", "ocp_release_image", "cpu_architecture", "high_availability_mode",
    "control_plane_count", "base_dns_domain", "network_type", "machine_networks", "cluster_networks",
    "service_networks", "api_vips", "ingress_vips", "platform", "feature_usage", "validations_info",
    "monitored_operators", "progress", "install_started_at", "install_completed_at", "created_at", "updated_at",
    "user_name", "email_domain", "org_id", "pull_secret_set", "ssh_public_key", "http_proxy", "https_proxy",
    "no_proxy", "install_config_overrides", "ignition_endpoint", "disk_encryption", "tags", "image_info",
    "additional_ntp_source", "ams_subscription_id", "api_vip", "api_vip_dns_name", "cluster_network_cidr",
    "cluster_network_host_prefix", "connectivity_majority_groups", "controller_logs_collected_at",
    "controller_logs_started_at", "deleted_at", "enabled_host_count", "host_networks", "hyperthreading",
    "ignition_config_overrides", "ignored_cluster_validations", "ignored_host_validations",
    "imported", "ingress_vip", "ip_collisions", "last-installation-preparation",
    "load_balancer", "logs_info", "machine_network_cidr", "operators", "org_soft_timeouts_enabled",
    "primary_ip_stack", "ready_host_count", "schedulable_masters", "schedulable_masters_forced_true",
    "service_network_cidr", "total_host_count", "user_managed_networking", "vip_dhcp_allocation",
)  # fmt: skip
HOST_FIELDS: Final = (
    "id", "kind", "href", "cluster_id", "infra_env_id", "status", "status_info", "role", "suggested_role",
    "bootstrap", "requested_hostname", "inventory", "validations_info", "progress", "progress_stages",
    "connectivity", "disks_info", "images_status", "domain_name_resolutions", "logs_info", "created_at",
    "updated_at", "user_name", "ignition_config_overrides", "installer_args", "fencing_credentials",
    "api_vip_connectivity", "checked_in_at", "deleted_at", "discovery_agent_version", "disks_to_be_formatted",
    "free_addresses", "ignition_endpoint_http_headers", "ignition_endpoint_token_set", "installation_disk_id",
    "installation_disk_path", "installer_version", "logs_collected_at", "logs_started_at",
    "machine_config_pool_name", "media_status", "node_labels", "ntp_sources", "registered_at",
    "skip_formatting_disks", "stage_started_at", "stage_updated_at", "status_updated_at", "tang_connectivity",
    "timestamp",
)  # fmt: skip
INFRA_ENV_FIELDS: Final = (
    "id", "kind", "href", "name", "cluster_id", "type", "cpu_architecture", "openshift_version", "download_url",
    "expires_at", "size_bytes", "proxy", "ssh_authorized_key", "static_network_config",
    "ignition_config_override", "kernel_arguments", "additional_trust_bundle", "pull_secret_set", "user_name",
    "email_domain", "org_id", "additional_ntp_sources", "created_at", "generator_version",
    "network_discovery_delay_seconds", "ntp_sources", "rendezvous_ip", "updated_at",
)  # fmt: skip
# Objects that upstream's tables store as columns, and the prefix of these columns. The prefix of a nested object
# follows its parent's, as in `platform_external_platform_name`.
EMBEDDED_FIELDS: Final = {
    "progress": "progress_",
    "platform": "platform_",
    "platform.external": "external_",
    "disk_encryption": "disk_encryption_",
    "ignition_endpoint": "ignition_endpoint_",
    "image_info": "image_",
    "last-installation-preparation": "last_installation_preparation_",
    "load_balancer": "load_balancer_",
    "proxy": "proxy_",
}

VERSION_KEYS: Final = (
    "assisted-installer",
    "assisted-installer-controller",
    "assisted-installer-service",
    "discovery-agent",
)

_FNV_BASIS: Final = 144066263297769815596495629667062367629
_FNV_PRIME: Final = 309485009821345068724781371
_128_BITS: Final = (1 << 128) - 1


def outcome_of(status: str, install_completed_at: object) -> str | None:
    """Return the end state that an installation has reached, None if it has not ended."""
    if status == ADDING_HOSTS and install_completed_at is not None:
        return "installed"
    return status if status in END_STATES else None


def user_id(name: str) -> str:
    """The event scraper's pseudonym of a user: FNV-1a, 128 bits, as a decimal number."""
    value = _FNV_BASIS
    for byte in name.encode():
        value = (value ^ byte) * _FNV_PRIME & _128_BITS
    return str(value)


def anonymized(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cluster, host or infra-env with ``user_id`` in place of its ``user_name``, as the scraper does."""
    if "user_name" not in model:
        return dict(model)
    kept = {key: value for key, value in model.items() if key != "user_name"}
    name = model["user_name"]
    return kept | {"user_id": user_id(str(name)) if name else None}


def event_id(event_time: str, cluster_id: str, message: str) -> str:
    """Return the event scraper's id of an event, which identifies duplicates."""
    digest = hashlib.md5(f"{event_time}{cluster_id}{message}".encode(), usedforsecurity=False)
    return str(int.from_bytes(digest.digest(), "big"))


def pick(fields: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value, in their order."""
    return {name: value for name in fields if (value := values.get(name)) is not None}
