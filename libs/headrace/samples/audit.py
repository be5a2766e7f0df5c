"""Audit records of clusters in which people build applications; equal options give equal records.

A fifth of the records match the queries of segment_bridge, the share on a busy cluster; the rest are reads, dry runs,
actions of machines, and other logs of the same index.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from headrace.installations.origin import DEFAULT_NOW, random_uuid
from headrace.samples.app_studio import user_name

_APP_STUDIO: Final = "appstudio.redhat.com"
_TEKTON: Final = "tekton.dev"
_MEANT_SHARE: Final = 0.2
_SPREAD: Final = timedelta(hours=4)
_AGENTS: Final = ("Mozilla/5.0 (X11; Linux x86_64)", "kubectl/v1.27.3 (linux/amd64)", "oc/4.13.0")
_BUILD_SERVICE: Final = "system:serviceaccount:build-service:build-service-controller-manager"
_BUILD_TYPE: Final = "pipelines.appstudio.openshift.io/type"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """``records`` within the four hours before ``now``, by ``users`` people; ``padding_bytes`` enlarges each record."""

    records: int = 1000
    users: int = 9
    seed: int = 1
    now: datetime = DEFAULT_NOW
    padding_bytes: int = 0
    meant_share: float = _MEANT_SHARE


def audit_records(options: AuditOptions) -> Iterator[Record]:
    """Yield the records in order of time."""
    chooser = random.Random(f"{options.seed} audit records")  # noqa: S311 -- data for show, not secrets
    makers = list(_MEANT)
    step = _SPREAD / max(1, options.records)
    for number in range(options.records):
        moment = options.now - _SPREAD + number * step
        maker = chooser.choice(makers if chooser.random() < options.meant_share else _OTHERS)
        record = maker(_Scene(chooser, options.users, moment))
        if options.padding_bytes:
            record["annotations"]["padding"] = "x" * options.padding_bytes
        yield record


def write_audit_log(path: Path, options: AuditOptions) -> Path:
    """Write the records, one per line."""
    with path.open("w", encoding="utf-8") as opened:
        for record in audit_records(options):
            opened.write(json.dumps(record, separators=(",", ":")) + "\n")
    return path


class _Scene:
    """The user, time, objects and random generator of one record."""

    def __init__(self, chooser: random.Random, users: int, moment: datetime) -> None:
        self.chooser = chooser
        self.user = user_name(chooser.randint(1, users))
        self.namespace = f"{self.user}-tenant"
        self.application = f"app-{chooser.randint(1, 5)}"
        self.component = f"{self.application}-part-{chooser.randint(1, 4)}"
        self.moment = moment

    def record(self, verb: str, group: str, resource: str, name: str, **more: Any) -> Record:
        subject = {"apiGroup": group, "apiVersion": "v1alpha1" if group == _APP_STUDIO else "v1beta1"}
        subject |= {"resource": resource, "namespace": self.namespace, "name": name}
        if more.pop("status", False):
            subject["subresource"] = "status"
        chooser, moment = self.chooser, self.moment
        return {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "log_type": "audit",
            "level": "RequestResponse",
            "stage": "ResponseComplete",
            "auditID": random_uuid(chooser),
            "verb": verb,
            "requestURI": f"/apis/{group}/{subject['apiVersion']}/namespaces/{self.namespace}/{resource}",
            "userAgent": chooser.choice(_AGENTS),
            "sourceIPs": ["10.128.0.7"],
            "hostname": f"master-{chooser.randrange(3)}",
            "user": {"username": more.pop("user", self.user), "groups": ["system:authenticated"]},
            "objectRef": subject,
            "responseStatus": {"code": more.pop("code", 200)},
            "requestReceivedTimestamp": _microseconds(moment),
            "stageTimestamp": _microseconds(moment + timedelta(milliseconds=chooser.randint(2, 90))),
            "annotations": {"authorization.k8s.io/decision": "allow"},
            "openshift": {"cluster_id": "simulated", "sequence": chooser.randrange(1 << 30)},
            **more,
        }

    def metadata(self, name: str, **more: Any) -> Record:
        return {
            "name": name,
            "namespace": self.namespace,
            "resourceVersion": str(self.chooser.randrange(1 << 30)),
            **more,
        }

    def component_object(self, **metadata: Any) -> Record:
        git = {"url": f"https://git.example.com/{self.user}/{self.component}", "revision": "main"}
        spec = {"application": self.application, "componentName": self.component, "source": {"git": git}}
        return {"metadata": self.metadata(self.component, **metadata), "spec": spec}

    def pipeline(self, status: Record | None = None) -> Record:
        sha = f"{self.chooser.getrandbits(160):040x}"
        labels = {_BUILD_TYPE: "build", **self.labels()}
        annotations = {
            "build.appstudio.openshift.io/repo": f"https://git.example.com/{self.user}/{self.component}?rev={sha}",
            "build.appstudio.redhat.com/commit_sha": sha,
            "build.appstudio.redhat.com/target_branch": "main",
            "pipelinesascode.tekton.dev/event-type": self.chooser.choice(("push", "pull_request")),
            "pipelinesascode.tekton.dev/git-provider": "github",
            "pipelinesascode.tekton.dev/log-url": f"https://console.example.com/{sha[:8]}",
        }
        name = f"{self.component}-{sha[:5]}"
        made: Record = {"metadata": self.metadata(name, labels=labels, annotations=annotations), "spec": {}}
        return made | ({"status": status} if status else {})

    def labels(self) -> Record:
        return {
            "appstudio.openshift.io/application": self.application,
            "appstudio.openshift.io/component": self.component,
        }

    def ended(self, kind: str, reason: str, message: str, **more: Any) -> Record:
        condition = {"type": kind, "status": "True", "reason": reason, "message": message}
        return {"completionTime": _seconds(self.moment), "conditions": [condition], **more}


def _microseconds(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _seconds(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _application(scene: _Scene) -> Record:
    made = {"metadata": scene.metadata(scene.application)}
    return scene.record(
        "create", _APP_STUDIO, "applications", scene.application, code=201, responseObject=made
    )


def _component(scene: _Scene) -> Record:
    verb = scene.chooser.choice(("create", "update", "delete"))
    code = 201 if verb == "create" else 200
    made = scene.component_object()
    return scene.record(verb, _APP_STUDIO, "components", scene.component, code=code, responseObject=made)


def _build_request(scene: _Scene) -> Record:
    value = scene.chooser.choice(("configure-pac", "trigger-simple-build"))
    patch = {"metadata": {"annotations": {"build.appstudio.openshift.io/request": value}}}
    made = scene.component_object()
    return scene.record(
        "patch", _APP_STUDIO, "components", scene.component, requestObject=patch, responseObject=made
    )


def _pipeline_created(scene: _Scene) -> Record:
    return scene.record(
        "create", _TEKTON, "pipelineruns", scene.component, code=201, responseObject=scene.pipeline()
    )


def _pipeline_started(scene: _Scene) -> Record:
    message = "Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 9, Skipped: 1"
    running = {"type": "Succeeded", "status": "Unknown", "reason": "Running", "message": message}
    made = scene.pipeline({"startTime": _seconds(scene.moment), "conditions": [running]})
    return scene.record("update", _TEKTON, "pipelineruns", scene.component, status=True, responseObject=made)


def _pipeline_ended(scene: _Scene) -> Record:
    reason = scene.chooser.choice(("Completed", "Failed"))
    made = scene.pipeline(scene.ended("Succeeded", reason, "Tasks Completed: 9 (Failed: 0, Cancelled 0)"))
    return scene.record("update", _TEKTON, "pipelineruns", scene.component, status=True, responseObject=made)


def _clair_scan(scene: _Scene) -> Record:
    levels = {level: scene.chooser.randrange(20) for level in ("critical", "high", "medium", "low")}
    results = [{"name": "CLAIR_SCAN_RESULT", "value": json.dumps({"vulnerabilities": levels})}]
    done = scene.ended("Succeeded", "Succeeded", "All Steps have completed executing", taskResults=results)
    name = f"{scene.component}-clair-scan"
    return scene.record(
        "update", _TEKTON, "taskruns", name, status=True,
        requestObject={"metadata": {"labels": {"tekton.dev/pipelineTask": "clair-scan"}}},
        responseObject={"metadata": scene.metadata(name, labels=scene.labels()), "status": done},
    )  # fmt: skip


def _release(scene: _Scene) -> Record:
    owner = [{"kind": "Application", "name": scene.application}]
    made = {
        "metadata": scene.metadata(f"{scene.application}-release", ownerReferences=owner),
        "status": scene.ended("Released", scene.chooser.choice(("Succeeded", "Failed")), "Release processed"),
    }
    return scene.record(
        "patch", _APP_STUDIO, "releases", f"{scene.application}-release", status=True, responseObject=made
    )


def _pull_request(scene: _Scene) -> Record:
    url = f"https://git.example.com/{scene.user}/{scene.component}/pull/{scene.chooser.randrange(1 << 20)}"
    status = json.dumps({"pac": {"state": "enabled", "merge-url": url}, "message": "done"})
    made = scene.component_object(annotations={"build.appstudio.openshift.io/status": status})
    return scene.record(
        "update", _APP_STUDIO, "components", scene.component, user=_BUILD_SERVICE, responseObject=made
    )


def _read(scene: _Scene) -> Record:
    return scene.record(scene.chooser.choice(("get", "list", "watch")), "", "pods", scene.component)


def _dry_run(scene: _Scene) -> Record:
    record = _application(scene)
    del record["responseObject"]["metadata"]["resourceVersion"]
    return record


def _machine(scene: _Scene) -> Record:
    return _component(scene) | {"user": {"username": "system:serviceaccount:has:controller", "groups": []}}


def _refused(scene: _Scene) -> Record:
    return _application(scene) | {"responseStatus": {"code": 409}}


def _other_log(scene: _Scene) -> Record:
    return {
        "log_type": "infrastructure",
        "kubernetes": {"namespace_name": "openshift-monitoring", "pod_name": "prometheus-k8s-0"},
        "message": f"level=info component=tsdb msg=done user={scene.chooser.getrandbits(32):08x}",
        "annotations": {},
        "requestReceivedTimestamp": _microseconds(scene.moment),
    }


# The records that the queries match; most are builds.
_MEANT: Final[tuple[Callable[[_Scene], Record], ...]] = (
    _application,
    _component,
    _build_request,
    *(_pipeline_created, _pipeline_started, _pipeline_ended, _clair_scan) * 2,
    _release,
    _pull_request,
)
_OTHERS: Final[tuple[Callable[[_Scene], Record], ...]] = (
    *(_read,) * 6,
    _dry_run,
    _machine,
    _refused,
    _other_log,
)
