"""Insights Operator archives in a few words, and what the pack's rules make of them."""

import json
from datetime import UTC, datetime, timedelta

from headrace.rules.evaluation import Rules, RulesConfig
from headrace.rules.testing import archive

PACK = "headrace.rule_pack"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REGISTRY = "config/clusteroperator/imageregistry.operator.openshift.io/config/cluster.json"


def rules():
    """The pack, enabled as a whole whatever another test configured."""
    return Rules.load(RulesConfig(packages=(PACK,), target_components=(f"{PACK}.rules.",)))


def packed(files):
    """The bytes of an archive that tells when it was gathered, unless the files say otherwise."""
    return archive({"config/metrics": metrics(), **files})


def evaluate(files):
    return rules().evaluate(packed(files))


def outcome(name, files):
    """What one rule says: the kind of its entry (or skip or None), its key, its details."""
    evaluation = evaluate(files)
    assert evaluation.exceptions == ()
    component = f"{PACK}.rules.{name}.report"
    for kind in ("reports", "pass", "info"):
        for entry in evaluation.report.get(kind, ()):
            if entry["component"] == component:
                json.dumps(entry, allow_nan=False)
                return kind, entry["key"], entry["details"]
    return ("skip" if component in dict(evaluation.skips) else None), None, None


def when(**ago):
    return (NOW - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(kind, status, reason="Because", message="It is so."):
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": when(hours=3),
    }


def made(kind, name, *conditions, namespace=None, spec=None, **status):
    metadata = {"name": name, "creationTimestamp": when(days=40)}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "kind": kind,
        "metadata": metadata,
        "spec": spec or {},
        "status": {"conditions": list(conditions), **status},
    }


def node(name, *conditions, role="worker", beat=None):
    found = made("Node", name, *(one | {"lastHeartbeatTime": beat or when(minutes=1)} for one in conditions))
    found["metadata"]["labels"] = {f"node-role.kubernetes.io/{role}": ""}
    return found


def pod(name, *, state=None, last=None, restarts=0, image="quay.io/x/y@sha256:00"):
    status = {
        "name": "main",
        "restartCount": restarts,
        "state": state or {"running": {}},
        "lastState": last or {},
    }
    spec = {"containers": [{"name": "main", "image": image}]}
    return made("Pod", name, namespace="openshift-dns", spec=spec, containerStatuses=[status])


def version(current, *conditions, desired=None, completed=True):
    history = [{"state": "Completed" if completed else "Partial", "version": current}]
    wanted = {"version": desired or current}
    return made("ClusterVersion", "version", *conditions, history=history, desired=wanted)


def alert(name, severity="warning", state="active", **labels):
    return {
        "labels": {"alertname": name, "severity": severity, **labels},
        "startsAt": when(hours=2),
        "updatedAt": when(seconds=20),
        "status": {"state": state},
    }


def metrics(*lines, now=NOW):
    stamp = int(now.timestamp() * 1000)
    text = "".join(f"{line} {stamp}\n" for line in ('cluster_installer{type="x"} 1', *lines))
    return f"# TYPE cluster_installer untyped\n{text}".encode()


def signing_request(name, *, created, conditions=None, cert=None):
    return {
        "TypeMeta": {},
        "ObjectMeta": {"name": name, "creationTimestamp": created},
        "Spec": {"Username": "system:node:worker-1"},
        "Status": {"Conditions": conditions, "Cert": cert},
    }


def certificate(name, expires):
    return {"name": name, "namespace": "openshift-ingress", "not_after": expires}


def webhooks(name, policy):
    service = {"namespace": "demo", "name": "demo-webhook", "port": 443}
    return {
        "metadata": {"name": name},
        "webhooks": [
            {"name": f"{name}.example.com", "clientConfig": {"service": service}, "failurePolicy": policy}
        ],
    }


def events(*messages):
    return {
        "items": [
            {
                "namespace": "demo",
                "lastTimestamp": when(minutes=5),
                "reason": "FailedCreate",
                "message": message,
                "type": "Warning",
            }
            for message in messages
        ]
    }
