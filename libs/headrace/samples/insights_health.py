"""The files beside the cluster's own objects: alerts, pools, certificates, images."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from headrace.archives import Entry
from headrace.samples import insights_cluster as cluster
from headrace.samples.files import json_entry
from headrace.samples.insights_objects import ObjectMaker, seconds
from headrace.samples.options import SampleOptions

_REGISTRY = "config/clusteroperator/imageregistry.operator.openshift.io/config/cluster.json"


class Health:
    """The entries that describe the cluster's health."""

    def __init__(self, options: SampleOptions) -> None:
        self._objects = ObjectMaker(options, "insights health")
        self._now = options.now

    def entries(self) -> Iterator[Entry]:
        """Yield the entries in no particular order."""
        yield json_entry("config/alerts.json", [self._alert(*alert) for alert in cluster.ALERTS])
        yield Entry.of("config/metrics", self._metrics().encode())
        yield json_entry(_REGISTRY, self._image_registry())
        yield json_entry("config/running_containers.json", self._running_containers())
        yield json_entry("aggregated/ingress_controllers_certs.json", self._ingress_certificates())
        for role, machines, unavailable in cluster.POOLS:
            yield json_entry(
                f"config/machineconfigpools/{role}.json", self._pool(role, machines, unavailable)
            )
        for name in cluster.SIGNING_REQUESTS:
            yield json_entry(f"config/certificatesigningrequests/{name}.json", self._signing_request(name))
        for kind, name, service, policy in cluster.WEBHOOKS:
            folder = f"config/{kind.lower()}webhookconfigurations"
            yield json_entry(f"{folder}/{name}.json", self._webhooks(name, service, policy))

    def _alert(self, name: str, severity: str, labels: dict[str, str], summary: str) -> dict[str, Any]:
        return {
            "labels": {
                "alertname": name,
                **labels,
                "openshift_io_alert_source": "platform",
                "prometheus": "openshift-monitoring/k8s",
                "severity": severity,
            },
            "annotations": {"summary": summary},
            "endsAt": seconds(self._now + timedelta(minutes=3)),
            "startsAt": seconds(self._now - timedelta(hours=5)),
            "updatedAt": seconds(self._now - timedelta(seconds=41)),
            "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
        }

    def _metrics(self) -> str:
        milliseconds = int(self._now.timestamp() * 1000)
        lines = [
            "# TYPE cluster_installer untyped",
            f'cluster_installer{{type="openshift-install"}} 1 {milliseconds}',
            "# TYPE etcd_server_slow_apply_total untyped",
        ]
        lines += [
            f'etcd_server_slow_apply_total{{job="etcd",namespace="openshift-etcd",pod="etcd-{name}"}}'
            f" {number} {milliseconds - 9_871}"
            for number, (name, role, *_) in enumerate(cluster.NODES)
            if role == "master"
        ]
        lines += [f"# ALERTS {len(cluster.ALERTS) + 2}/1000", "# TYPE ALERTS untyped"]
        for name, severity, labels, _ in cluster.ALERTS:
            known = {"alertname": name, "alertstate": "firing", **labels, "severity": severity}
            written = ",".join(f'{label}="{value}"' for label, value in known.items())
            lines.append(f"ALERTS{{{written}}} 1 {milliseconds}")
        return "\n".join(lines) + "\n"

    def _image_registry(self) -> dict[str, Any]:
        found = self._objects.made("imageregistry.operator", "Config", "cluster")
        found["spec"] = {"managementState": "Managed", "storage": {}, "replicas": 1, "logging": 2}
        reason, message = cluster.DEGRADED_REASON, cluster.DEGRADED_MESSAGE
        found["status"] = {
            "conditions": [
                self._objects.condition("StorageExists", "False", reason, message),
                self._objects.condition("Available", "False", reason, message),
                self._objects.condition("Degraded", "True", reason, message),
            ],
            "storage": {},
        }
        return found

    def _running_containers(self) -> dict[str, Any]:
        images = [cluster.digest_of(container) for *_, container in cluster.PODS] + [cluster.TAGGED_IMAGE]
        month = (self._now - timedelta(days=30)).strftime("%Y-%m")
        return {
            "images": {str(index): image for index, image in enumerate(images)},
            "containers": {month: {str(index): 1 for index in range(len(images))}},
        }

    def _ingress_certificates(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "namespace": namespace,
                "not_before": seconds(self._now - timedelta(days=90)),
                "not_after": seconds(self._now + timedelta(days=days_left, minutes=-17)),
                "controllers": [],
            }
            for namespace, name, days_left in cluster.CERTIFICATES
        ]

    def _pool(self, role: str, machines: int, unavailable: int) -> dict[str, Any]:
        found = self._objects.made("machineconfiguration", "MachineConfigPool", role)
        found["spec"] = {"paused": False}
        conditions = (("RenderDegraded", "False"), ("NodeDegraded", "False"), ("Degraded", "False"))
        found["status"] = {
            "conditions": [
                self._objects.condition(kind, status, "")
                for kind, status in (*conditions, ("Updated", "True"), ("Updating", "False"))
            ],
            "degradedMachineCount": 0,
            "machineCount": machines,
            "readyMachineCount": machines - unavailable,
            "unavailableMachineCount": unavailable,
            "updatedMachineCount": machines,
        }
        return found

    def _signing_request(self, name: str) -> dict[str, Any]:
        metadata = self._objects.made("", "CertificateSigningRequest", name)["metadata"]
        metadata["creationTimestamp"] = seconds(self._now - timedelta(hours=4))
        return {
            "TypeMeta": {},
            "ObjectMeta": metadata,
            "Spec": {
                "UID": "",
                "Username": f"system:node:{cluster.NOT_READY_NODE}",
                "Groups": ["system:nodes", "system:authenticated"],
                "Usages": ["digital signature", "client auth"],
                "Request": None,
            },
            "Status": {"Conditions": None, "Cert": None},
        }

    def _webhooks(self, name: str, service: tuple[str, str], policy: str) -> dict[str, Any]:
        metadata = self._objects.made("", "", name)["metadata"]
        reference = {"namespace": service[0], "name": service[1], "path": "/", "port": 443}
        webhook = {
            "name": name,
            "clientConfig": {"service": reference, "caBundle": "eHh4eHh4"},
            "failurePolicy": policy,
            "matchPolicy": "Equivalent",
            "sideEffects": "None",
            "timeoutSeconds": 10,
        }
        return {"metadata": metadata, "webhooks": [webhook]}
