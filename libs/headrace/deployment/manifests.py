"""Kubernetes manifests, from the services' table and the table of facts."""

from collections.abc import Sequence
from typing import Final

from headrace.deployment.facts import Facts, Table
from headrace.deployment.network import engines_only, policy
from headrace.deployment.pods import (
    CONFIG,
    HTTP,
    PART_OF,
    Manifest,
    admin_port,
    dashed,
    job_pod,
    labels,
    serving_pod,
)
from headrace.service.resolution import rendered
from headrace.service.row import Service

INIT: Final = "headrace-init"
_INIT_LABELS: Final = {"app.kubernetes.io/name": INIT, **PART_OF}
# An existing Job cannot be changed; it is deleted after this time, so that a later `apply` creates it again.
_FORGET_JOB_SECONDS: Final = 600
_CLAIM_SIZE: Final = "1Gi"


def service_manifests(row: Service, table: Table, rows: Sequence[Service]) -> list[Manifest]:
    """Return all manifests of one service."""
    facts = table.of(row)
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(row),
        "automountServiceAccountToken": False,
    }
    found = [account, policy(row, facts, rows, table.engine_ports)]
    if facts.schedule:
        return [*found, _cron_job(row, facts)]
    found += [_deployment(row, facts), _budget(row)]
    if row.port:
        found.append(_service(row, row.port))
    return found


def init_manifests(table: Table, rows: Sequence[Service]) -> list[Manifest]:
    """Return the Job that creates topics, buckets and databases and migrates tables, and its volumes."""
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": INIT, "labels": _INIT_LABELS},
        "spec": {
            "backoffLimit": 20,
            "ttlSecondsAfterFinished": _FORGET_JOB_SECONDS,
            "template": {
                "metadata": {"labels": _INIT_LABELS},
                "spec": job_pod(INIT, ["init"], rows, table.defaults),
            },
        },
    }
    return [job, engines_only(INIT, _INIT_LABELS, table.engine_ports), *claim_manifests(table, rows)]


def config_map_literals(rows: Sequence[Service]) -> list[str]:
    """Return the settings of every pod: its listeners, and the URLs of the other services."""
    urls = {
        variable: f"http://{dashed(row)}:{row.port}{path}" for row in rows for variable, path in row.known_by
    }
    settings = {"HEADRACE_HOST": "0.0.0.0", "HEADRACE_ADMIN_PORT": str(admin_port()), **urls}  # noqa: S104 -- a pod's
    return [f"{name}={value}" for name, value in settings.items()]


def base_kustomization(table: Table, rows: Sequence[Service]) -> Manifest:
    """Return the kustomization of the base; overlays can merge into each of its ConfigMaps."""
    own = [
        {
            "name": f"{CONFIG}-{dashed(row)}",
            "literals": [f"{name}={value}" for name, value in table.of(row).environment.items()],
        }
        for row in rows
    ]
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["init.yaml", *(f"{dashed(row)}.yaml" for row in rows)],
        "configMapGenerator": [{"name": CONFIG, "literals": config_map_literals(rows)}, *own],
    }


def scaled_object(row: Service, facts: Facts) -> Manifest:
    """Return KEDA's ScaledObject: the number of pods follows the lag of the service's groups."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": _metadata(row),
        "spec": {
            "scaleTargetRef": {"name": dashed(row)},
            "minReplicaCount": facts.replicas,
            "maxReplicaCount": max(facts.replicas, facts.max_replicas),
            "cooldownPeriod": 300,
            "triggers": [
                {
                    "type": "kafka",
                    "metadata": {
                        "bootstrapServersFromEnv": "HEADRACE_KAFKA",
                        "topic": consumption.topic.name,
                        "consumerGroup": consumption.group,
                        "lagThreshold": str(facts.lag),
                        "offsetResetPolicy": "earliest",
                    },
                }
                for consumption in rendered(row, facts.environment).consumes
            ],
        },
    }


def keda_kustomization(rows: Sequence[Service]) -> Manifest:
    """Return the KEDA component; scaled services have no fixed number of pods."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["scaled-objects.yaml"],
        "patches": [
            {
                "target": {"kind": "Deployment", "name": f"^{dashed(row)}$"},
                "patch": "- op: remove\n  path: /spec/replicas\n",
            }
            for row in rows
        ],
    }


def scaled(table: Table, rows: Sequence[Service]) -> list[Service]:
    """Return the services whose number of pods follows their lag."""
    return [row for row in rows if row.consumes and not table.of(row).schedule]


def claim_manifests(table: Table, rows: Sequence[Service]) -> list[Manifest]:
    """Return the volumes on which services keep files; services that name the same volume share it."""
    names = {table.of(row).claim for row in rows} - {""}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "labels": PART_OF},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": _CLAIM_SIZE}}},
        }
        for name in sorted(names)
    ]


def _deployment(row: Service, facts: Facts) -> Manifest:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(row),
        "spec": {
            "replicas": 1 if facts.alone else facts.replicas,
            "strategy": {"type": "Recreate"} if facts.alone else rolling,
            "selector": {"matchLabels": labels(row)},
            "template": {"metadata": {"labels": labels(row)}, "spec": serving_pod(row, facts)},
        },
    }


def _cron_job(row: Service, facts: Facts) -> Manifest:
    pod = job_pod(row.name, facts.arguments or ("serve", row.name), [row], facts)
    pod["serviceAccountName"] = dashed(row)
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _metadata(row),
        "spec": {
            "schedule": facts.schedule,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 600,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 2,
                    "template": {"metadata": {"labels": labels(row)}, "spec": pod},
                }
            },
        },
    }


def _service(row: Service, port: int) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(row),
        "spec": {
            "selector": labels(row),
            "ports": [{"name": HTTP, "port": port, "targetPort": HTTP, "appProtocol": "http"}],
        },
    }


def _budget(row: Service) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(row),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": labels(row)},
        },
    }


def _metadata(row: Service) -> Manifest:
    return {
        "name": dashed(row),
        "labels": labels(row),
        "annotations": {"headrace/summary": row.summary},
    }
