"""The events archive of the assisted installer: every member lies below the cluster's id."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from headrace.archives import Entry
from headrace.samples.assisted_events import EVENTS, HOST_EVENT_PREFIX, OPENSHIFT_VERSION, VERSIONS
from headrace.samples.files import json_entry, write_archive_file
from headrace.samples.options import SampleOptions, random_uuid

FILE_NAME = "events.tgz"
_HOSTS = 3
_INSTALLATION = timedelta(minutes=71)


def generate(directory: Path, options: SampleOptions) -> list[Path]:
    """Write ``events.tgz``: a cluster of three hosts that was installed just before ``now``."""
    return [write_archive_file(directory / FILE_NAME, _Installation(options).entries(), options.now)]


class _Installation:
    def __init__(self, options: SampleOptions) -> None:
        chooser = options.chooser("installation")
        self._cluster_id = options.cluster()
        self._infra_env_id = random_uuid(chooser)
        self._host_ids = [random_uuid(chooser) for _ in range(_HOSTS)]
        self._openshift_cluster_id = random_uuid(chooser)
        self._started = options.now - _INSTALLATION - timedelta(minutes=5)
        self._common = {"user_name": "jdoe", "email_domain": "example.com", "org_id": options.org_id}

    def entries(self) -> Iterator[Entry]:
        """Yield the members in the sender's order."""
        top = self._cluster_id
        yield json_entry(f"{top}/events/cluster.json", self._cluster())
        yield json_entry(f"{top}/events/hosts.json", [self._host(n) for n in range(_HOSTS)], indent=1)
        yield json_entry(f"{top}/events/infraenv.json", self._infra_env())
        yield json_entry(f"{top}/events.json", list(self._events()), indent=1)
        yield json_entry(f"{top}/versions.json", VERSIONS)
        deployment = {
            "deployment-type": "Operator",
            "deployment-version": "2.11.2",
            "git-ref": "f31c0a9d2e47",
        }
        yield json_entry(f"{top}/metadata.json", VERSIONS | deployment)

    def _cluster(self) -> dict[str, Any]:
        completed = _milliseconds(self._started + _INSTALLATION)
        return {
            "id": self._cluster_id,
            "kind": "Cluster",
            "href": f"/api/assisted-install/v2/clusters/{self._cluster_id}",
            "name": "edge-one",
            "status": "installed",
            "status_info": "Cluster is installed",
            "status_updated_at": completed,
            "openshift_version": OPENSHIFT_VERSION,
            "openshift_cluster_id": self._openshift_cluster_id,
            "cpu_architecture": "x86_64",
            "high_availability_mode": "Full",
            "control_plane_count": _HOSTS,
            "base_dns_domain": "example.com",
            "network_type": "OVNKubernetes",
            "machine_networks": [{"cidr": "192.168.126.0/24", "cluster_id": self._cluster_id}],
            "api_vips": [{"ip": "192.168.126.100", "cluster_id": self._cluster_id}],
            "platform": {"type": "baremetal"},
            "feature_usage": '{"Dual-stack":{"id":"DUAL_STACK","name":"Dual-stack"}}',
            "progress": {"total_percentage": 100, "installing_stage_percentage": 100},
            "install_started_at": _milliseconds(self._started + timedelta(minutes=13)),
            "install_completed_at": completed,
            "created_at": _milliseconds(self._started),
            "updated_at": completed,
            "pull_secret_set": True,
            **self._common,
        }

    def _host(self, number: int) -> dict[str, Any]:
        host_id = self._host_ids[number]
        return {
            "id": host_id,
            "kind": "Host",
            "href": f"/api/assisted-install/v2/infra-envs/{self._infra_env_id}/hosts/{host_id}",
            "cluster_id": self._cluster_id,
            "infra_env_id": self._infra_env_id,
            "status": "installed",
            "status_info": "Done",
            "role": "master",
            "suggested_role": "master",
            "bootstrap": number == 0,
            "requested_hostname": f"master-{number}",
            "inventory": '{"cpu":{"count":8},"memory":{"physical_bytes":17179869184}}',
            "progress": {"current_stage": "Done", "installation_percentage": 100},
            "created_at": _milliseconds(self._started + timedelta(minutes=6)),
            "user_name": self._common["user_name"],
        }

    def _infra_env(self) -> dict[str, Any]:
        return {
            "id": self._infra_env_id,
            "kind": "InfraEnv",
            "href": f"/api/assisted-install/v2/infra-envs/{self._infra_env_id}",
            "name": "edge-one_infra-env",
            "cluster_id": self._cluster_id,
            "type": "full-iso",
            "cpu_architecture": "x86_64",
            "openshift_version": OPENSHIFT_VERSION,
            "pull_secret_set": True,
            **self._common,
        }

    def _events(self) -> Iterator[dict[str, Any]]:
        for name, severity, message, minutes in EVENTS:
            hosts = range(_HOSTS) if name.startswith(HOST_EVENT_PREFIX) else [None]
            for host in hosts:
                when = self._started + timedelta(minutes=minutes, milliseconds=137 * (host or 0))
                event = {
                    "name": name,
                    "message": message.format(name="edge-one", host=f"master-{host}"),
                    "severity": severity,
                    "category": "user",
                    "event_time": _milliseconds(when),
                    "cluster_id": self._cluster_id,
                    "infra_env_id": self._infra_env_id,
                }
                yield event if host is None else event | {"host_id": self._host_ids[host]}


def _milliseconds(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
