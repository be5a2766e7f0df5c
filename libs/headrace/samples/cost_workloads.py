"""The workloads of a generated cluster: every kind that ros_processor distinguishes."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.samples.options import SampleOptions

MIB = 1024 * 1024
NONE = "<none>"

NAMESPACES = ("shop-prod", "shop-stage", "billing")
APPLICATIONS = ("checkout", "catalog", "search", "basket", "invoices", "mailer", "sessions", "reports")
REQUESTS_CORES = (0.1, 0.25, 0.5, 1.0, 2.0)
REQUESTS_MIB = (256, 512, 1024, 2048)


@dataclass(frozen=True, slots=True)
class Node:
    """A worker node and its capacity."""

    name: str
    resource_id: str
    cores: int = 8
    memory_bytes: int = 32_880_640 * 1024


@dataclass(frozen=True, slots=True)
class Kind:
    """The names and kinds of a workload and of its pods' owner; ``{name}`` and ``{hash}`` are filled in."""

    workload_type: str
    workload: str
    owner_kind: str
    owner_name: str
    pods: int
    containers: int = 1
    has_limits: bool = True


KINDS = (
    Kind("deployment", "{name}", "ReplicaSet", "{name}-{hash}", pods=2),
    # A replica set without a Deployment: the pods name no workload.
    Kind("deployment", NONE, "ReplicaSet", "{name}", pods=1),
    Kind("statefulset", "{name}", "StatefulSet", "{name}", pods=3, containers=2),
    Kind("deployment", "{name}", "ReplicaSet", "{name}-{hash}", pods=2, has_limits=False),
    Kind("daemonset", "{name}", "DaemonSet", "{name}", pods=3),
    Kind("deploymentconfig", "{name}", "ReplicationController", "{name}-1", pods=1),
)


@dataclass(frozen=True, slots=True)
class Container:
    """A container of one pod; a request or limit that it does not set is None."""

    number: int
    name: str
    pod: str
    owner_name: str
    owner_kind: str
    workload: str
    workload_type: str
    namespace: str
    image: str
    node: Node
    request_cores: float | None
    limit_cores: float | None
    request_bytes: int | None
    limit_bytes: int | None
    usual_cores: float
    usual_bytes: float
    first_intervals_only: int | None = None


def containers_of(options: SampleOptions, cluster_number: int) -> list[Container]:
    """Return the containers of a cluster; those that ros_processor leaves out come last."""
    chooser = options.chooser(f"workloads {cluster_number}")
    nodes = [
        Node(
            f"ip-10-0-{chooser.randrange(256)}-{10 + number}.us-east-2.compute.internal",
            f"i-{chooser.getrandbits(68):017x}",
        )
        for number in range(3)
    ]
    containers: list[Container] = []
    for number in range(options.workloads):
        containers.extend(_workload(chooser, nodes, number, len(containers)))
    return [*containers, *_left_out(nodes, len(containers))]


def _workload(chooser: random.Random, nodes: list[Node], number: int, first: int) -> Iterator[Container]:
    kind = KINDS[number % len(KINDS)]
    turn, application = divmod(number, len(APPLICATIONS))
    name = APPLICATIONS[application] + (f"-{turn}" if turn else "")
    replica_hash = f"{chooser.getrandbits(36):09x}"
    cores = [chooser.choice(REQUESTS_CORES) for _ in range(kind.containers)]
    request_bytes = [chooser.choice(REQUESTS_MIB) * MIB for _ in range(kind.containers)]
    busy = chooser.uniform(0.15, 0.7)
    for pod in range(kind.pods):
        pod_name = f"{name}-{pod}" if kind.owner_kind == "StatefulSet" else f"{name}-{replica_hash}-{pod:05x}"
        for container in range(kind.containers):
            yield Container(
                number=first + pod * kind.containers + container,
                name=name if container == 0 else f"{name}-proxy",
                pod=pod_name,
                owner_name=kind.owner_name.format(name=name, hash=replica_hash),
                owner_kind=kind.owner_kind,
                workload=kind.workload.format(name=name),
                workload_type=kind.workload_type,
                namespace=NAMESPACES[number % len(NAMESPACES)],
                image=f"quay.io/demo/{APPLICATIONS[application]}{'-proxy' if container else ''}:1.{turn}",
                node=nodes[(number + pod) % len(nodes)],
                request_cores=cores[container],
                limit_cores=2 * cores[container] if kind.has_limits else None,
                request_bytes=request_bytes[container],
                limit_bytes=2 * request_bytes[container] if kind.has_limits else None,
                usual_cores=busy * cores[container],
                usual_bytes=busy * request_bytes[container],
            )


def _left_out(nodes: list[Node], first: int) -> Iterator[Container]:
    """Yield a pod without an owner, requests or limits, and a job's pod."""
    without = {"request_cores": None, "limit_cores": None, "request_bytes": None, "limit_bytes": None}
    yield Container(
        first, "volume-shell", "volume-shell", NONE, NONE, "", "", NAMESPACES[0],
        "docker.io/library/busybox:latest", nodes[0], **without,
        usual_cores=0.000018, usual_bytes=1_835_140, first_intervals_only=1,
    )  # fmt: skip
    yield Container(
        first + 1, "migrate", "migrate-7xk2p", "migrate", "Job", "migrate", "job", NAMESPACES[-1],
        "quay.io/demo/migrate:1.0", nodes[1], 0.1, 0.2, 128 * MIB, 256 * MIB,
        usual_cores=0.08, usual_bytes=90.0 * MIB, first_intervals_only=4,
    )  # fmt: skip
