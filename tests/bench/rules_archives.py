"""Insights Operator archives of a small and of a medium cluster, as large as real ones are."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headrace.archives import Entry, write_archive

CLUSTER_ID = "11111111-2222-4333-8444-555555555555"
MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)
TIME = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Shape:
    """How much of what; `padding_characters` make an object as long as its managed fields do."""

    pods: int
    logs: int
    lines: int
    nodes: int
    operators: int
    padding_characters: int
    random_bytes: int


SMALL = Shape(pods=70, logs=6, lines=60, nodes=6, operators=33, padding_characters=2900, random_bytes=220)
"""123 files, 0.44 MB, 72 kB compressed."""
MEDIUM = Shape(
    pods=700, logs=200, lines=600, nodes=36, operators=33, padding_characters=10_900, random_bytes=220
)
"""978 files, 21.5 MB, 2.9 MB compressed."""


def archive(shape: Shape) -> bytes:
    """The bytes of such an archive; equal for equal shapes."""
    chooser = random.Random(1)
    entries = [Entry.of(name, content) for name, content in _files(shape, chooser)]
    return b"".join(write_archive(entries, modified=MODIFIED))


def _files(shape: Shape, chooser: random.Random) -> Iterator[tuple[str, bytes]]:
    def described(kind: str, name: str, **rest: Any) -> bytes:
        words = ("f:metadata", "f:labels", "f:status", "f:conditions", "k:{type}", "f:lastTransitionTime")
        length = shape.padding_characters - shape.random_bytes * 2
        padding = (
            " ".join(chooser.choices(words, k=length // 12)) + chooser.randbytes(shape.random_bytes).hex()
        )
        metadata = {"name": name, "creationTimestamp": TIME, "annotations": {"padding": padding}}
        return json.dumps(
            {"kind": kind, "apiVersion": "v1", "metadata": metadata | rest.pop("meta", {}), **rest}
        ).encode()

    yield "config/id", CLUSTER_ID.encode()
    version = {"desired": {"version": "4.16.3"}, "history": [], "conditions": []}
    yield "config/version.json", described("ClusterVersion", "version", status=version)
    for name in ("infrastructure", "featuregate", "network", "oauth"):
        yield f"config/{name}.json", described(name, "cluster", status={})
    yield "config/metrics", b"".join(b'ALERTS{alertname="A%d",severity="none"} 1 1\n' % n for n in range(40))
    yield "insights-operator/gathers.json", b'{"status_reports": []}'
    for number in range(shape.operators):
        status: dict[str, Any] = {
            "conditions": [_condition("Available"), _condition("Degraded", status="False")]
        }
        yield (
            f"config/clusteroperator/operator-{number}.json",
            described("ClusterOperator", f"o{number}", status=status),
        )
    for number in range(shape.nodes):
        status = {"conditions": [_condition("Ready")], "capacity": {"cpu": "8", "memory": "32880640Ki"}}
        yield f"config/node/node-{number}.json", described("Node", f"node-{number}", status=status)
    for number in range(shape.pods):
        namespace, name = f"openshift-{number % 30}", f"pod-{number}-{chooser.randrange(10**5):05}"
        pod = described("Pod", name, meta={"namespace": namespace}, spec=_spec(), status=_status(number))
        yield f"config/pod/{namespace}/{name}.json", pod
        if number < shape.logs:
            yield f"config/pod/{namespace}/logs/{name}/main_current.log", _log(shape.lines, chooser)


def _condition(kind: str, status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "AsExpected", "message": "", "lastTransitionTime": TIME}


def _spec() -> dict[str, Any]:
    image = "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:" + "ab" * 32
    return {"containers": [{"name": name, "image": image, "env": []} for name in ("main", "proxy")]}


def _status(number: int) -> dict[str, Any]:
    running = {"running": {"startedAt": TIME}}
    statuses = [
        {"name": name, "ready": True, "restartCount": number % 3, "state": running, "lastState": {}}
        for name in ("main", "proxy")
    ]
    return {"phase": "Running", "conditions": [_condition("Ready")], "containerStatuses": statuses}


def _log(lines: int, chooser: random.Random) -> bytes:
    return "".join(
        f"I0101 00:{number // 60 % 60:02}:{number % 60:02}.{chooser.randrange(10**6):06}       1 controller.go:"
        f"{chooser.randrange(900)}] reconciled object {chooser.randrange(10**6)} of namespace openshift-{number % 30}\n"
        for number in range(lines)
    ).encode()
