"""The pod of a service: probes, settings by reference, the restricted profile."""

from collections.abc import Sequence
from typing import Any, Final

from headrace.deployment.facts import Facts
from headrace.runtime.settings import ProcessSettings
from headrace.service.row import Service

Manifest = dict[str, Any]

IMAGE: Final = "headrace"
ADMIN: Final = "admin"
HTTP: Final = "http"
CONFIG: Final = "headrace"
KAFKA_SECRET, S3_SECRET, POSTGRES_SECRET = "headrace-kafka", "headrace-s3", "headrace-postgres"
PART_OF: Final = {"app.kubernetes.io/part-of": "headrace"}
_CA, _FILES = "/etc/headrace/ca", "/etc/headrace/files"
# Endpoints drop a pod slightly after its signal to end, so it continues to listen for this time.
_DRAIN_SECONDS: Final = 5
_STOP_SECONDS: Final = 25


def dashed(row: Service) -> str:
    """Return the service's name in DNS form."""
    return row.name.replace("_", "-")


def labels(row: Service) -> dict[str, str]:
    """Return the labels that select a service's pods."""
    return {"app.kubernetes.io/name": dashed(row), **PART_OF}


def admin_port() -> int:
    """Return the port for probes and scrapes in every process."""
    port: int = ProcessSettings.model_fields["admin_port"].default
    return port


def serving_pod(row: Service, facts: Facts) -> Manifest:
    """Return the pod that runs ``headrace serve NAME``."""
    pod = _pod(container(row.name, ["serve", row.name], [row], facts), facts)
    pod["serviceAccountName"] = dashed(row)
    pod["terminationGracePeriodSeconds"] = _DRAIN_SECONDS + _STOP_SECONDS + 5
    pod["topologySpreadConstraints"] = [
        _spread(row, "kubernetes.io/hostname"),
        _spread(row, "topology.kubernetes.io/zone"),
    ]
    (served,) = pod["containers"]
    served["ports"] = [{"name": ADMIN, "containerPort": admin_port()}]
    if row.port:
        served["ports"].append({"name": HTTP, "containerPort": row.port})
    served["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", str(_DRAIN_SECONDS)]}}}
    served |= _probes(row)
    _mount(
        pod, "files", _FILES, {"secret": {"secretName": f"{CONFIG}-{dashed(row)}-files", "optional": True}}
    )
    if facts.claim:
        _mount(pod, "data", facts.claim_path, {"persistentVolumeClaim": {"claimName": facts.claim}})
    return pod


def _mount(pod: Manifest, name: str, path: str, volume: Manifest) -> None:
    """Add a volume to the pod and its container; only a claim is writable."""
    pod["volumes"].append({"name": name, **volume})
    mount = {"name": name, "mountPath": path}
    pod["containers"][0]["volumeMounts"].append(mount if name == "data" else mount | {"readOnly": True})


def job_pod(name: str, arguments: Sequence[str], rows: Sequence[Service], facts: Facts) -> Manifest:
    """Return a pod that runs ``headrace ARGUMENTS…`` and ends."""
    pod = _pod(container(name, arguments, rows, facts), facts)
    pod["restartPolicy"] = "OnFailure"
    return pod


def container(name: str, arguments: Sequence[str], rows: Sequence[Service], facts: Facts) -> Manifest:
    """Return a container with a command, the settings of these services and only the credentials they need."""
    return {
        "name": name.replace("_", "-"),
        "image": IMAGE,
        "command": ["headrace"],
        "args": list(arguments),
        "envFrom": _settings(rows),
        "resources": {
            "requests": {"cpu": facts.cpu, "memory": facts.memory},
            "limits": {"memory": facts.memory_limit},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the pod's own
            {"name": "kafka-ca", "mountPath": _CA, "readOnly": True},
        ],
    }  # fmt: skip


def _settings(rows: Sequence[Service]) -> list[Manifest]:
    """Return the sources of the container's environment; later ones win."""
    found: list[Manifest] = [{"configMapRef": {"name": CONFIG}}]
    if any(row.topics for row in rows):
        found.append({"secretRef": {"name": KAFKA_SECRET, "optional": True}})
    if any(row.consumes or row.buckets for row in rows):
        found.append({"secretRef": {"name": S3_SECRET}})
    if len(rows) > 1:
        # The administrator's URL, for the pods that create roles and databases; a service only gets its own role.
        found.append({"secretRef": {"name": POSTGRES_SECRET}})
    found += [{"secretRef": {"name": f"{POSTGRES_SECRET}-{dashed(row)}"}} for row in rows if row.database]
    for row in rows:
        own = f"{CONFIG}-{dashed(row)}"
        if len(rows) == 1:
            found.append({"configMapRef": {"name": own}})
            found.append({"secretRef": {"name": own, "optional": True}})
        elif row.settings:
            # Topics and buckets are created under the names that the settings of the service give them.
            found.append({"configMapRef": {"name": own}})
    return found


def _pod(only: Manifest, facts: Facts) -> Manifest:
    return {
        "automountServiceAccountToken": False,
        # Kubernetes' variables for Services (KRUIZE_PORT=tcp://…) would collide with settings.
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [only],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": facts.temporary}},
            {"name": "kafka-ca", "secret": {"secretName": "headrace-kafka-ca", "optional": True}},
        ],
    }


def _probes(row: Service) -> Manifest:
    """Return the probes. Live: the event loop answers. Ready: engines and peers answer too.

    A service that listens stays in its Service for half an hour without an engine, because it answers 503 with
    Retry-After while an empty Service refuses connections; a new pod must become ready before it replaces another.
    """
    return {
        "startupProbe": _probe("/health/live", every_seconds=2, failures=30),
        "livenessProbe": _probe("/health/live", every_seconds=10, failures=6),
        "readinessProbe": _probe("/health/ready", every_seconds=5, failures=360 if row.port else 3),
    }


def _probe(path: str, *, every_seconds: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": ADMIN},
        "periodSeconds": every_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _spread(row: Service, over: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": over,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(row)},
        "matchLabelKeys": ["pod-template-hash"],
    }
