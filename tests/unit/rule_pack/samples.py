"""For each rule archives that it hits, with details to be seen, and archives that it passes."""

from tests.unit.rule_pack.archives import (
    REGISTRY,
    alert,
    certificate,
    condition,
    events,
    made,
    metrics,
    node,
    pod,
    signing_request,
    version,
    webhooks,
    when,
)

READY = node("worker-0", condition("Ready", "True"), condition("MemoryPressure", "False"))
LOOPING = pod("dns-1", state={"waiting": {"reason": "CrashLoopBackOff"}}, restarts=7)
KILLED = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": when(hours=1)}}
UNANSWERED = (
    'Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: Post '
    '"https://demo-webhook.demo.svc:443/": no endpoints available for service "demo-webhook"'
)
WATCHDOG = alert("Watchdog", "none")
HEALTHY_POOL = made("MachineConfigPool", "worker", condition("Degraded", "False"), spec={"paused": False})


def registry(storage, state="Managed"):
    return made("Config", "cluster", spec={"managementState": state, "storage": storage})


# rule: (files, part of the details)
HITS = [
    (
        "nodes_not_ready",
        {
            "config/node/a.json": READY,
            "config/node/b.json": node("worker-1", condition("Ready", "Unknown")),
            "config/node/c.json": node("master-1", condition("Ready", "False"), role="master"),
        },
        {"count": 2, "total": 3},
    ),
    (
        "nodes_not_ready",
        {"config/node/b": node("worker-1", condition("Ready", "False"))},
        {"count": 1, "total": 1},
    ),
    (
        "nodes_under_pressure",
        {"config/node/b.json": node("worker-1", condition("DiskPressure", "True"))},
        {"count": 1},
    ),
    (
        "cluster_operators_degraded",
        {"config/clusteroperator/dns.json": made("ClusterOperator", "dns", condition("Degraded", "True"))},
        {"count": 1},
    ),
    (
        "cluster_operators_unavailable",
        {"config/clusteroperator/dns": made("ClusterOperator", "dns", condition("Available", "False"))},
        {"count": 1},
    ),
    ("pods_crash_looping", {"config/pod/openshift-dns/dns-1.json": LOOPING}, {"count": 1}),
    (
        "pods_crash_looping",
        {"conditional/namespaces/openshift-dns/pods/dns-1/dns-1.json": LOOPING},
        {"count": 1},
    ),
    ("pods_oom_killed", {"config/pod/openshift-dns/dns-1.json": pod("dns-1", last=KILLED)}, {"count": 1}),
    (
        "certificates_expiring",
        {
            "aggregated/ingress_controllers_certs.json": [
                certificate("soon", when(days=-3)),
                certificate("late", when(days=1)),
                certificate("fine", when(days=-300)),
            ]
        },
        {"count": 2},
    ),
    (
        "signing_requests_pending",
        {"config/certificatesigningrequests/csr-1.json": signing_request("csr-1", created=when(hours=2))},
        {"count": 1},
    ),
    (
        "image_registry_without_storage",
        {REGISTRY: registry({})},
        {"storage": "none", "management_state": "Managed"},
    ),
    (
        "image_registry_without_storage",
        {"config/imageregistry.json": registry({"emptyDir": {}, "managementState": "Managed"})},
        {"storage": "emptyDir"},
    ),
    (
        "version_end_of_life",
        {"config/version.json": version("4.15.3")},
        {"version": "4.15.3", "maintenance_ended": "2025-08-27", "extended_support_ends": None},
    ),
    (
        "version_end_of_life",
        {"config/version": version("4.16.3")},
        {"maintenance_ended": "2025-12-27", "extended_support_ends": "2027-06-27"},
    ),
    ("version_end_of_life", {"config/version": version("3.11.3")}, {"maintenance_ended": None}),
    (
        "critical_alerts_firing",
        {
            "config/alerts.json": [
                alert("Down", "critical", pod="a"),
                alert("Down", "critical", pod="b"),
                alert("Slow"),
            ]
        },
        {"count": 1, "warnings": 1},
    ),
    (
        "critical_alerts_firing",
        {"config/metrics": metrics('ALERTS{alertname="Down",alertstate="firing",severity="critical"} 1')},
        {"count": 1, "warnings": 0},
    ),
    (
        "images_without_digest",
        {
            "config/running_containers.json": {
                "images": {"0": "quay.io/x/y:latest", "1": "sha256:00"},
                "containers": {"2026-01": {"0": 2, "1": 5}, "2026-02": {"0": 1}},
            }
        },
        {"count": 1, "images": [{"image": "quay.io/x/y:latest", "containers": 3}]},
    ),
    (
        "machine_config_pools_degraded",
        {
            "config/machineconfigpools/worker.json": made(
                "MachineConfigPool",
                "worker",
                condition("Degraded", "True"),
                condition("NodeDegraded", "True"),
            )
        },
        {"count": 1},
    ),
    (
        "machine_config_pools_paused",
        {"config/machineconfigpools/worker.json": made("MachineConfigPool", "worker", spec={"paused": True})},
        {"count": 1},
    ),
    (
        "etcd_leader_changes",
        {
            "config/alerts.json": [alert("etcdHighNumberOfLeaderChanges", pod="etcd-0")],
            "config/metrics": metrics('etcd_server_slow_apply_total{pod="etcd-0"} 8'),
        },
        {"count": 1, "slow_applies": [{"member": "etcd-0", "count": 8}]},
    ),
    (
        "clocks_skewed",
        {"config/alerts.json": [alert("NodeClockNotSynchronising", instance="worker-0")]},
        {"count": 1},
    ),
    (
        "clocks_skewed",
        {"config/node/b.json": node("worker-1", condition("Ready", "True"), beat=when(hours=-1))},
        {"count": 1},
    ),
    (
        "resource_quotas_exhausted",
        {"config/alerts.json": [alert("KubeQuotaFullyUsed", namespace="demo", resource="pods")]},
        {"count": 1},
    ),
    (
        "resource_quotas_exhausted",
        {"events/demo.json": events('pods "x" is forbidden: exceeded quota: compute, requested: pods=1')},
        {"count": 1, "quotas": [{"namespace": "demo", "resource": "compute", "evidence": "event"}]},
    ),
    ("webhooks_failing_closed", {"events/demo.json": events(UNANSWERED)}, {"count": 1}),
    (
        "webhooks_failing_closed",
        {
            "config/clusteroperator/dns.json": made(
                "ClusterOperator", "dns", condition("Degraded", "True", message=UNANSWERED)
            ),
            "config/mutatingwebhookconfigurations/check.json": webhooks("check", "Fail"),
        },
        {"count": 1},
    ),
    (
        "removed_apis_in_use",
        {
            "config/alerts.json": [
                alert("APIRemovedInNextReleaseInUse", resource="x", version="v1", group="g")
            ]
        },
        {"count": 1, "apis": [{"api": "x.v1.g", "removed_in": "", "requests": None}]},
    ),
    (
        "removed_apis_in_use",
        {
            "conditional/alerts/APIRemovedInNextEUSReleaseInUse/api_request_counts.json": [
                {"resource": "x.v1.g", "removed_in_release": "1.25", "total_request_count": 46}
            ]
        },
        {"apis": [{"api": "x.v1.g", "removed_in": "1.25", "requests": 46}]},
    ),
    (
        "cluster_update_failing",
        {
            "config/version.json": version(
                "4.20.1", condition("Failing", "True"), condition("Progressing", "True"), desired="4.20.2"
            )
        },
        {"version": "4.20.1", "desired": "4.20.2", "updating": True, "condition": "Failing"},
    ),
    (
        "cluster_update_failing",
        {"config/version.json": version("4.20.1", condition("ReleaseAccepted", "False"))},
        {"condition": "ReleaseAccepted", "updating": False},
    ),
]

# rule: (files, key of the pass)
PASSES = [
    ("nodes_not_ready", {"config/node/a.json": READY}, "NODES_READY"),
    ("nodes_under_pressure", {"config/node/a.json": READY}, "NODES_WITHOUT_PRESSURE"),
    (
        "cluster_operators_degraded",
        {"config/clusteroperator/dns.json": made("ClusterOperator", "dns", condition("Degraded", "False"))},
        "CLUSTER_OPERATORS_NOT_DEGRADED",
    ),
    (
        "cluster_operators_unavailable",
        {"config/clusteroperator/dns.json": made("ClusterOperator", "dns", condition("Available", "True"))},
        "CLUSTER_OPERATORS_AVAILABLE",
    ),
    ("pods_crash_looping", {"config/pod/x/y.json": pod("y")}, "PODS_NOT_CRASH_LOOPING"),
    ("pods_oom_killed", {"config/pod/x/y.json": pod("y")}, "PODS_NOT_OOM_KILLED"),
    (
        "certificates_expiring",
        {"aggregated/ingress_controllers_certs.json": [certificate("fine", when(days=-31))]},
        "CERTIFICATES_VALID",
    ),
    (
        "signing_requests_pending",
        {
            "config/certificatesigningrequests/b.json": signing_request(
                "b", created=when(days=2), conditions=[{"type": "Approved"}]
            ),
        },
        "SIGNING_REQUESTS_DECIDED",
    ),
    (
        "signing_requests_pending",
        {"config/certificatesigningrequests/a.json": signing_request("a", created=when(minutes=2))},
        "SIGNING_REQUESTS_PENDING_BRIEFLY",
    ),
    (
        "image_registry_without_storage",
        {REGISTRY: registry({"pvc": {"claim": "registry"}})},
        "IMAGE_REGISTRY_WITH_STORAGE",
    ),
    ("image_registry_without_storage", {REGISTRY: registry({}, "Removed")}, "IMAGE_REGISTRY_REMOVED"),
    ("version_end_of_life", {"config/version.json": version("4.20.1")}, "VERSION_MAINTAINED"),
    ("version_end_of_life", {"config/version.json": version("4.99.1")}, "VERSION_NEWER_THAN_KNOWN"),
    ("version_end_of_life", {"config/version.json": version("5.0.0-rc.1")}, "VERSION_NEWER_THAN_KNOWN"),
    (
        "critical_alerts_firing",
        {"config/alerts.json": [alert("Down", "critical", "suppressed"), alert("Watchdog", "none")]},
        "NO_CRITICAL_ALERTS",
    ),
    (
        "critical_alerts_firing",
        {"config/metrics": metrics('ALERTS{alertname="Down",alertstate="pending",severity="critical"} 1')},
        "NO_CRITICAL_ALERTS",
    ),
    (
        "images_without_digest",
        {
            "config/pod/x/y.json": pod("y"),
            "config/running_containers.json": {
                "images": {"0": "registry.redhat.io/redhat/redhat-operator-index:v4.20"},
                "containers": {},
            },
        },
        "IMAGES_WITH_DIGEST",
    ),
    (
        "machine_config_pools_degraded",
        {"config/machineconfigpools/worker.json": HEALTHY_POOL},
        "MACHINE_CONFIG_POOLS_NOT_DEGRADED",
    ),
    (
        "machine_config_pools_paused",
        {"config/machineconfigpools/worker.json": HEALTHY_POOL},
        "MACHINE_CONFIG_POOLS_NOT_PAUSED",
    ),
    ("etcd_leader_changes", {"config/alerts.json": [WATCHDOG]}, "ETCD_LEADER_STABLE"),
    ("clocks_skewed", {"config/node/a.json": READY}, "CLOCKS_AGREE"),
    (
        "resource_quotas_exhausted",
        {"events/demo.json": events("Created pod")},
        "RESOURCE_QUOTAS_NOT_EXHAUSTED",
    ),
    (
        "webhooks_failing_closed",
        {
            "config/validatingwebhookconfigurations/check.json": webhooks("check", "Fail"),
            "events/demo.json": events('failed calling webhook "other": denied'),
        },
        "WEBHOOKS_ANSWERING",
    ),
    (
        "webhooks_failing_closed",
        {
            "config/validatingwebhookconfigurations/check.json": webhooks("check", "Ignore"),
            "events/demo.json": events(UNANSWERED, 'failed calling webhook "other": denied'),
        },
        "WEBHOOKS_FAILING_OPEN",
    ),
    (
        "webhooks_failing_closed",
        {"events/demo.json": events("Created pod")},
        "NO_WEBHOOK_FAILURES_TOLD",
    ),
    ("removed_apis_in_use", {"config/alerts.json": [WATCHDOG]}, "NO_REMOVED_APIS_IN_USE"),
    (
        "cluster_update_failing",
        {"config/version.json": version("4.20.1", condition("Failing", "False"))},
        "CLUSTER_UPDATE_NOT_FAILING",
    ),
]

UNSAID = made("ClusterOperator", "dns")
SILENT_POD = made("Pod", "y", namespace="x")
# rule: files from which nobody can tell whether all is well: no pass.
UNKNOWN = [
    ("nodes_not_ready", {"config/node/a.json": node("worker-0")}),
    ("nodes_not_ready", {"config/node/a.json": node("worker-0", condition("MemoryPressure", "False"))}),
    ("nodes_under_pressure", {"config/node/a.json": node("a", condition("MemoryPressure", "Unknown"))}),
    ("cluster_operators_degraded", {"config/clusteroperator/dns.json": UNSAID}),
    ("cluster_operators_unavailable", {"config/clusteroperator/dns.json": UNSAID}),
    (
        "machine_config_pools_degraded",
        {"config/machineconfigpools/worker.json": made("MachineConfigPool", "worker")},
    ),
    (
        "machine_config_pools_paused",
        {"config/machineconfigpools/worker.json": made("MachineConfigPool", "worker")},
    ),
    ("pods_crash_looping", {"config/pod/x/y.json": SILENT_POD}),
    ("pods_oom_killed", {"config/pod/x/y.json": SILENT_POD}),
    ("certificates_expiring", {"aggregated/ingress_controllers_certs.json": []}),
    ("certificates_expiring", {"aggregated/ingress_controllers_certs.json": [certificate("odd", "soon")]}),
    (
        "signing_requests_pending",
        {"config/certificatesigningrequests/a.json": signing_request("a", created=None)},
    ),
    ("cluster_update_failing", {"config/version.json": version("4.20.1")}),
    ("cluster_update_failing", {"config/version.json": version("4.20.1", condition("Failing", "Unknown"))}),
    # A list without the alert that always fires says nothing of the others.
    ("critical_alerts_firing", {"config/alerts.json": []}),
    ("etcd_leader_changes", {"config/alerts.json": []}),
    ("removed_apis_in_use", {"config/alerts.json": []}),
    ("resource_quotas_exhausted", {"config/alerts.json": []}),
    ("clocks_skewed", {"config/metrics": None, "config/alerts.json": []}),
    ("image_registry_without_storage", {REGISTRY: made("Config", "cluster")}),
    # Metrics without the alert that always fires were gathered without alerts.
    ("critical_alerts_firing", {}),
    ("etcd_leader_changes", {}),
    ("removed_apis_in_use", {}),
    ("removed_apis_in_use", {"conditional/alerts/X/api_request_counts.json": []}),
    ("resource_quotas_exhausted", {"events/demo.json": events()}),
    ("webhooks_failing_closed", {"config/clusteroperator/dns.json": UNSAID}),
    # Without monitoring the newest report is the only clock there is.
    (
        "clocks_skewed",
        {
            "config/metrics": None,
            "config/node/b.json": node("b", condition("Ready", "True"), beat=when(hours=-9)),
        },
    ),
]
