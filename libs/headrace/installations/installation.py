"""An installation as the assisted installer stores it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any, Final

from headrace.contracts.assisted import ADDING_HOSTS
from headrace.installations.hosts import inventory, validations
from headrace.installations.narrative import (
    AFTERWARDS,
    ENDS,
    EVENTS,
    HOST_EVENT_PREFIX,
    OPENSHIFT_VERSION,
    PROGRESS,
)
from headrace.installations.origin import Origin, random_uuid
from headrace.runtime.errors import ConfigurationError

_HOSTS: Final = 3
_MASTERS: Final = 3
_INSTALLATION: Final = timedelta(minutes=71)
# The time between the reboots in the narrative and the events that follow them.
_PROGRESS_FROM: Final = timedelta(minutes=28)
_PROGRESS_FOR: Final = timedelta(minutes=17)

Model = dict[str, Any]


class Installation:
    """One attempt to install a cluster of ``hosts`` hosts, which ended as ``end_state`` just before ``now``.

    ``events`` is the number of logged events; the default is that of a typical installation.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        number: int = 0,
        hosts: int = _HOSTS,
        events: int | None = None,
        end_state: str = "installed",
    ) -> None:
        if hosts < 1 or (events is not None and events < 1):
            raise ConfigurationError(f"got {hosts} hosts and {events} events; expected at least one of each")
        if end_state not in ENDS:
            raise ConfigurationError(f"got the end state {end_state!r}, expected one of {', '.join(ENDS)}")
        chooser = origin.chooser(f"installation {number}" if number else "installation")
        self.cluster_id = origin.cluster(number)
        self.infra_env_id = random_uuid(chooser)
        self.end_state = end_state
        self._host_ids = [random_uuid(chooser) for _ in range(hosts)]
        self._openshift_cluster_id = random_uuid(chooser)
        self._started = origin.now - _INSTALLATION - timedelta(minutes=5)
        self._name = f"edge-{number + 1}" if number else "edge-one"
        self._count = events
        self._common = {"user_name": "jdoe", "email_domain": "example.com", "org_id": origin.org_id}

    def cluster(self) -> Model:
        """Return the cluster."""
        ended = _milliseconds(self._started + _INSTALLATION)
        completed = self.end_state in {"installed", ADDING_HOSTS}
        return {
            "id": self.cluster_id,
            "kind": "Cluster",
            "href": f"/api/assisted-install/v2/clusters/{self.cluster_id}",
            "name": self._name,
            "status": self.end_state,
            "status_info": ENDS[self.end_state].status_info,
            "status_updated_at": ended,
            "openshift_version": OPENSHIFT_VERSION,
            "openshift_cluster_id": self._openshift_cluster_id,
            "cpu_architecture": "x86_64",
            "high_availability_mode": "Full",
            "control_plane_count": min(_MASTERS, len(self._host_ids)),
            "base_dns_domain": "example.com",
            "network_type": "OVNKubernetes",
            "machine_networks": [{"cidr": "192.168.126.0/24", "cluster_id": self.cluster_id}],
            "api_vips": [{"ip": "192.168.126.100", "cluster_id": self.cluster_id}],
            "platform": {"type": "baremetal"},
            "feature_usage": '{"Dual-stack":{"id":"DUAL_STACK","name":"Dual-stack"}}',
            "progress": {"total_percentage": 100, "installing_stage_percentage": 100},
            "install_started_at": _milliseconds(self._started + timedelta(minutes=13)),
            **({"install_completed_at": ended} if completed else {}),
            "created_at": _milliseconds(self._started),
            "updated_at": ended,
            "pull_secret_set": True,
            **self._common,
        }

    def hosts(self) -> Iterator[Model]:
        """Return the hosts; the first three are masters."""
        return (self._host(number) for number in range(len(self._host_ids)))

    def infra_env(self) -> Model:
        """Return the infra-env of the hosts."""
        return {
            "id": self.infra_env_id,
            "kind": "InfraEnv",
            "href": f"/api/assisted-install/v2/infra-envs/{self.infra_env_id}",
            "name": f"{self._name}_infra-env",
            "cluster_id": self.cluster_id,
            "type": "full-iso",
            "cpu_architecture": "x86_64",
            "openshift_version": OPENSHIFT_VERSION,
            "pull_secret_set": True,
            **self._common,
        }

    def events(self) -> Iterator[Model]:
        """Yield the logged events by time."""
        hosts = len(self._host_ids)
        told_anyway = sum(
            hosts if name.startswith(HOST_EVENT_PREFIX) else 1 for name, *_ in (*EVENTS, *AFTERWARDS)
        )
        more = max(0, self._count - told_anyway - 1) if self._count else 0
        told = chain(self._told(EVENTS), self._progressing(more), self._told(AFTERWARDS))
        yield from islice(told, self._count - 1) if self._count else told
        yield from self._told((ENDS[self.end_state].event,))

    def _host(self, number: int) -> Model:
        host_id = self._host_ids[number]
        role = "master" if number < _MASTERS else "worker"
        return {
            "id": host_id,
            "kind": "Host",
            "href": f"/api/assisted-install/v2/infra-envs/{self.infra_env_id}/hosts/{host_id}",
            "cluster_id": self.cluster_id,
            "infra_env_id": self.infra_env_id,
            "status": "installed" if self.end_state == ADDING_HOSTS else self.end_state,
            "status_info": "Done",
            "role": role,
            "suggested_role": role,
            "bootstrap": number == 0,
            "requested_hostname": f"{role}-{number}",
            "inventory": json.dumps(inventory(number), separators=(",", ":")),
            "validations_info": json.dumps(validations(), separators=(",", ":")),
            "progress": {"current_stage": "Done", "installation_percentage": 100},
            "created_at": _milliseconds(self._started + timedelta(minutes=6)),
            "updated_at": _milliseconds(self._started + _INSTALLATION),
            "user_name": self._common["user_name"],
        }

    def _told(self, narrative: tuple[tuple[str, str, str, int], ...]) -> Iterator[Model]:
        # The events of all hosts for one step stay within a minute.
        apart = min(137, 50_000 // len(self._host_ids))
        for name, severity, message, minutes in narrative:
            hosts = range(len(self._host_ids)) if name.startswith(HOST_EVENT_PREFIX) else [None]
            for host in hosts:
                when = self._started + timedelta(minutes=minutes, milliseconds=apart * (host or 0))
                yield self._event(name, severity, message, when, host)

    def _progressing(self, count: int) -> Iterator[Model]:
        name, severity, message = PROGRESS
        began, apart, hosts = (
            self._started + _PROGRESS_FROM,
            _PROGRESS_FOR / max(count, 1),
            len(self._host_ids),
        )
        for number in range(count):
            text = f"{message} {number + 1}"
            yield self._event(name, severity, text, began + apart * number, number % hosts)

    def _event(self, name: str, severity: str, message: str, when: datetime, host: int | None) -> Model:
        hostname = "" if host is None else f"{'master' if host < _MASTERS else 'worker'}-{host}"
        event = {
            "name": name,
            "message": message.format(name=self._name, host=hostname),
            "severity": severity,
            "category": "user",
            "event_time": _milliseconds(when),
            "cluster_id": self.cluster_id,
            "infra_env_id": self.infra_env_id,
        }
        if host is not None:
            event["host_id"] = self._host_ids[host]
        return event


def _milliseconds(when: datetime) -> str:
    return f"{when.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"
