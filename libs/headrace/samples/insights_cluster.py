"""A small OpenShift cluster with a few problems."""

import hashlib

VERSION = "4.16.12"
CHANNEL = "stable-4.16"
RELEASE_IMAGE = "quay.io/openshift-release-dev/ocp-release@sha256:" + "5b8f" * 16

OPERATORS = (
    "authentication",
    "baremetal",
    "cloud-credential",
    "cluster-autoscaler",
    "config-operator",
    "console",
    "dns",
    "etcd",
    "image-registry",
    "ingress",
    "insights",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "machine-api",
    "machine-config",
    "marketplace",
    "monitoring",
    "network",
    "node-tuning",
    "openshift-apiserver",
    "operator-lifecycle-manager",
    "service-ca",
    "storage",
)
DEGRADED_OPERATOR = "image-registry"
DEGRADED_REASON = "StorageNotConfigured"
DEGRADED_MESSAGE = "Degraded: The registry has no storage: spec.storage is empty and replicas are 1"

NODES: tuple[tuple[str, str, int, int], ...] = (
    # name, role, cores, memory in KiB
    ("master-0.demo.example.com", "master", 4, 16_393_216),
    ("master-1.demo.example.com", "master", 4, 16_393_216),
    ("master-2.demo.example.com", "master", 4, 16_393_216),
    ("worker-0.demo.example.com", "worker", 8, 32_880_640),
    ("worker-1.demo.example.com", "worker", 8, 32_880_640),
)
NOT_READY_NODE = "worker-1.demo.example.com"

PODS: tuple[tuple[str, str, str], ...] = (
    # namespace, name, container
    (
        "openshift-apiserver-operator",
        "openshift-apiserver-operator-57d7d6cb7c-r94lw",
        "openshift-apiserver-operator",
    ),
    ("openshift-dns", "dns-default-4kzpq", "dns"),
    ("openshift-image-registry", "cluster-image-registry-operator-6d9c7f5b8-2xk4t", "registry-operator"),
    ("openshift-ingress", "router-default-7bbdcfcf9b-7xdln", "router"),
    ("openshift-insights", "insights-operator-65bcbd8bbf-n5xcr", "insights-operator"),
    ("openshift-monitoring", "prometheus-k8s-0", "prometheus"),
)
CRASHING_POD = "router-default-7bbdcfcf9b-7xdln"
OOM_KILLED_POD = "prometheus-k8s-0"
IMAGE_REPOSITORY = "quay.io/openshift-release-dev/ocp-v4.0-art-dev"
TAGGED_IMAGE = "quay.io/demo/web-shop:latest"
CRASH_LOG = (
    'I0731 22:41:07.113482       1 template.go:437] router "msg"="starting router"\n'
    "E0731 22:41:09.800117       1 haproxy.go:418] can't scrape HAProxy: haproxy.sock: no such file\n"
    "F0731 22:41:37.215030       1 router.go:320] error: listen tcp :443: bind: address already in use\n"
)
ALERTS: tuple[tuple[str, str, dict[str, str], str], ...] = (
    # name, severity, labels, summary
    (
        "ClusterOperatorDown",
        "critical",
        {"name": DEGRADED_OPERATOR, "namespace": "openshift-cluster-version", "reason": DEGRADED_REASON},
        "Cluster operator has not been available for 10 minutes.",
    ),
    (
        "ClusterOperatorDegraded",
        "warning",
        {"name": DEGRADED_OPERATOR, "namespace": "openshift-cluster-version", "reason": DEGRADED_REASON},
        "Cluster operator has been degraded for 30 minutes.",
    ),
    (
        "KubeNodeNotReady",
        "warning",
        {"namespace": "openshift-monitoring", "node": NOT_READY_NODE},
        "Node is not ready.",
    ),
    (
        "KubePodCrashLooping",
        "warning",
        {"container": "router", "namespace": "openshift-ingress", "pod": CRASHING_POD},
        "Pod is crash looping.",
    ),
    (
        "Watchdog",
        "none",
        {"namespace": "openshift-monitoring"},
        "An alert that should always be firing to certify that Alertmanager is working properly.",
    ),
)
POOLS = (
    # role, machines, unavailable machines
    ("master", 3, 0),
    ("worker", 2, 1),
)
CERTIFICATES = (
    # namespace, secret, days left
    ("openshift-ingress-operator", "router-ca", 640),
    ("openshift-ingress", "router-certs-default", 12),
)
SIGNING_REQUESTS = ("csr-7xk2p", "csr-q9zmd")
WEBHOOKS = (
    # kind, name, service's namespace and name, failure policy
    (
        "Validating",
        "volumesnapshotclasses.snapshot.storage.k8s.io",
        ("openshift-cluster-storage-operator", "csi-snapshot-webhook"),
        "Ignore",
    ),
    (
        "Validating",
        "prometheusrules.openshift.io",
        ("openshift-monitoring", "prometheus-operator-admission-webhook"),
        "Fail",
    ),
    (
        "Mutating",
        "default.machine.machine.openshift.io",
        ("openshift-machine-api", "machine-api-operator-webhook"),
        "Fail",
    ),
)
GATHERERS: tuple[tuple[str, int, int], ...] = (
    # name, duration in milliseconds, records
    ("clusterconfig/active_alerts", 11, 1),
    ("clusterconfig/authentication", 17, 1),
    ("clusterconfig/certificate_signing_requests", 20, len(SIGNING_REQUESTS)),
    ("clusterconfig/container_images", 165, 1),
    ("clusterconfig/feature_gates", 15, 1),
    ("clusterconfig/image_registries", 22, 1),
    ("clusterconfig/infrastructures", 20, 1),
    ("clusterconfig/ingress_certificates", 35, 1),
    ("clusterconfig/machine_config_pools", 32, len(POOLS)),
    ("clusterconfig/metrics", 5, 1),
    ("clusterconfig/mutating_webhook_configurations", 14, 1),
    ("clusterconfig/nodes", 16, len(NODES)),
    ("clusterconfig/operators", 2166, len(OPERATORS)),
    ("clusterconfig/operators_pods_and_events", 96, len(PODS)),
    ("clusterconfig/validating_webhook_configurations", 15, 2),
    ("clusterconfig/version", 79, 2),
    ("workloads/workload_info", 7450, 1),
)


def digest_of(name: str) -> str:
    """Return a digest that is always the same for the same name."""
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()
