"""An Insights Operator archive: the layout of openshift/insights-operator, docs/insights-archive-sample."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from headrace.archives import Entry
from headrace.samples import insights_cluster as cluster
from headrace.samples.files import json_entry, write_archive_file
from headrace.samples.insights_health import Health
from headrace.samples.insights_objects import ObjectMaker, seconds
from headrace.samples.options import SampleOptions

FILE_NAME = "payload.tar.gz"


def generate(directory: Path, options: SampleOptions) -> list[Path]:
    """Write ``payload.tar.gz``: a node is not ready, a pod crashes repeatedly, an operator is degraded, and so on."""
    entries = sorted([*_Cluster(options).entries(), *Health(options).entries()], key=lambda entry: entry.name)
    return [write_archive_file(directory / FILE_NAME, entries, options.now)]


class _Cluster:
    def __init__(self, options: SampleOptions) -> None:
        self._id = options.cluster()
        self._now = options.now
        self._created = options.now - timedelta(days=90)
        self._objects = ObjectMaker(options, "insights")

    def entries(self) -> Iterator[Entry]:
        yield Entry.of("config/id", self._id.encode())
        yield json_entry("config/version.json", self._version())
        yield json_entry("config/infrastructure.json", self._infrastructure())
        yield json_entry("config/featuregate.json", self._objects.made("config", "FeatureGate", "cluster"))
        for name in cluster.OPERATORS:
            yield json_entry(f"config/clusteroperator/{name}.json", self._operator(name))
        for name, role, cores, memory_kib in cluster.NODES:
            yield json_entry(f"config/node/{name}.json", self._node(name, role, cores, memory_kib))
        for namespace, name, container in cluster.PODS:
            yield json_entry(f"config/pod/{namespace}/{name}.json", self._pod(namespace, name, container))
            if name == cluster.CRASHING_POD:
                log = f"config/pod/{namespace}/logs/{name}/{container}_current.log"
                yield Entry.of(log, cluster.CRASH_LOG.encode())
                yield json_entry(f"events/{namespace}.json", self._events(namespace, name))
        yield json_entry("config/workload_info.json", self._workload_info())
        yield json_entry("insights-operator/gathers.json", self._gathers())

    def _version(self) -> dict[str, Any]:
        desired = {"version": cluster.VERSION, "image": cluster.RELEASE_IMAGE, "channels": [cluster.CHANNEL]}
        update = {
            "state": "Completed",
            "startedTime": seconds(self._created),
            "completionTime": seconds(self._created + timedelta(minutes=41)),
            "version": cluster.VERSION,
            "image": cluster.RELEASE_IMAGE,
            "verified": False,
        }
        degraded = f"Cluster operator {cluster.DEGRADED_OPERATOR} is degraded"
        conditions = [
            self._objects.condition("Available", "True", message=f"Done applying {cluster.VERSION}"),
            self._objects.condition("Failing", "True", "ClusterOperatorDegraded", degraded),
            self._objects.condition("Progressing", "False", message=f"Cluster version is {cluster.VERSION}"),
        ]
        found = self._objects.made("config", "ClusterVersion", "version")
        found["spec"] = {"clusterID": self._id, "channel": cluster.CHANNEL}
        found["status"] = {"desired": desired, "history": [update], "conditions": conditions}
        return found

    def _infrastructure(self) -> dict[str, Any]:
        status = {
            "infrastructureName": "demo-7xk2p",
            "platform": "BareMetal",
            "platformStatus": {"type": "BareMetal"},
            "controlPlaneTopology": "HighlyAvailable",
            "infrastructureTopology": "HighlyAvailable",
            "apiServerURL": "https://api.demo.example.com:6443",
        }
        return self._objects.made("config", "Infrastructure", "cluster", status=status)

    def _operator(self, name: str) -> dict[str, Any]:
        degraded = name == cluster.DEGRADED_OPERATOR
        why = (cluster.DEGRADED_REASON, cluster.DEGRADED_MESSAGE) if degraded else ()
        status = {
            "conditions": [
                self._objects.condition("Available", str(not degraded), *why),
                self._objects.condition("Progressing", "False"),
                self._objects.condition("Degraded", str(degraded), *why),
                self._objects.condition("Upgradeable", "True"),
            ],
            "versions": [{"name": "operator", "version": cluster.VERSION}],
            "relatedObjects": [{"group": "", "resource": "namespaces", "name": f"openshift-{name}"}],
        }
        return self._objects.made("config", "ClusterOperator", name, status=status)

    def _node(self, name: str, role: str, cores: int, memory_kib: int) -> dict[str, Any]:
        down = name == cluster.NOT_READY_NODE
        stopped = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
        ready = self._objects.condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        if down:
            ready = self._objects.condition("Ready", "Unknown", *stopped)
        resources = {"cpu": str(cores), "memory": f"{memory_kib}Ki", "pods": "250"}
        status: dict[str, Any] = {
            "capacity": resources,
            "allocatable": resources | {"memory": f"{memory_kib - 1_177_600}Ki"},
            "conditions": [
                self._objects.condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                self._objects.condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                ready,
            ],
            "nodeInfo": {
                "kubeletVersion": "v1.29.8+632b078",
                "osImage": "Red Hat Enterprise Linux CoreOS 416.94",
            },
        }
        beat = self._now - (timedelta(hours=5) if down else timedelta(seconds=95))
        for condition in status["conditions"]:
            condition["lastHeartbeatTime"] = seconds(beat)
        labels = {"kubernetes.io/hostname": name, f"node-role.kubernetes.io/{role}": ""}
        return self._objects.made("", "Node", name, metadata={"labels": labels}, status=status)

    def _pod(self, namespace: str, name: str, container: str) -> dict[str, Any]:
        crashing = name == cluster.CRASHING_POD
        waiting = {
            "waiting": {"reason": "CrashLoopBackOff", "message": f"back-off 5m0s restarting {container}"}
        }
        running = {"running": {"startedAt": seconds(self._now - timedelta(days=3))}}
        code, reason = (137, "OOMKilled") if name == cluster.OOM_KILLED_POD else (1, "Error")
        exited = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "finishedAt": seconds(self._now - timedelta(minutes=2)),
            }
        }
        restarts = {cluster.CRASHING_POD: 214, cluster.OOM_KILLED_POD: 3}.get(name, 0)
        container_status = {
            "name": container,
            "ready": not crashing,
            "restartCount": restarts,
            "state": waiting if crashing else running,
            "lastState": exited if restarts else {},
        }
        status = {
            "phase": "Running",
            "conditions": [
                self._objects.condition("Ready", str(not crashing), "ContainersNotReady" if crashing else "")
            ],
            "containerStatuses": [container_status],
        }
        image = f"{cluster.IMAGE_REPOSITORY}@{cluster.digest_of(container)}"
        spec = {"containers": [{"name": container, "image": image}]}
        return self._objects.made(
            "", "Pod", name, metadata={"namespace": namespace}, spec=spec, status=status
        )

    def _events(self, namespace: str, pod: str) -> dict[str, Any]:
        backing_off = {
            "namespace": namespace,
            "lastTimestamp": seconds(self._now - timedelta(minutes=2)),
            "reason": "BackOff",
            "message": f"Back-off restarting failed container in pod {pod}",
            "type": "Warning",
        }
        return {"items": [backing_off]}

    def _workload_info(self) -> dict[str, Any]:
        namespaces = {}
        for namespace, name, _ in cluster.PODS:
            image = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
            shape = {"containers": [{"imageID": image}], "duplicates": 0, "restartAlways": True}
            namespaces[_hashed(namespace)] = {"count": 1, "shapes": [shape]}
        return {
            "pods": len(cluster.PODS),
            "imageCount": len(cluster.PODS),
            "images": {},
            "namespaces": namespaces,
        }

    def _gathers(self) -> dict[str, Any]:
        reports = [
            {
                "name": name,
                "duration_in_ms": milliseconds,
                "records_count": records,
                "errors": None,
                "warnings": None,
                "panic": None,
            }
            for name, milliseconds, records in cluster.GATHERERS
        ]
        return {"status_reports": reports, "memory_alloc_bytes": 146_223_104, "uptime_seconds": 7261.42}


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:12]
