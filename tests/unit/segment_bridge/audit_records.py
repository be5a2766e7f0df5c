"""For each query ten audit records, five that are meant and five that are not, and what the five must give.

Everything is written by hand: the records as a cluster's log has them, the results as the contract's table says.
"""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GONE = object()
PAC = '{"pac":{"state":"enabled","merge-url":"%s","configuration-time":"Fri, 01 Dec 2023"},"message":"done"}'
BUILD_SERVICE = "system:serviceaccount:build-service:build-service-controller-manager"
STATUS = "build.appstudio.openshift.io/status"
REQUEST = "build.appstudio.openshift.io/request"
JSON_PATCH = "/metadata/annotations/build.appstudio.openshift.io~1request"


def audit(
    audit_id: str, verb: str, group: str, resource: str, name: str | None, **more: Any
) -> dict[str, Any]:
    """A record as OpenShift's collector forwards it."""
    subject = {"apiGroup": group, "apiVersion": more.pop("version", "v1alpha1"), "resource": resource,
               "namespace": more.pop("namespace", "alice-tenant")}  # fmt: skip
    if name is not None:
        subject["name"] = name
    if "subresource" in more:
        subject["subresource"] = more.pop("subresource")
    return {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "log_type": "audit", "level": "RequestResponse",
        "stage": "ResponseComplete", "auditID": audit_id, "verb": verb, "requestURI": "/apis/…",
        "userAgent": "kubectl/v1.27.3", "sourceIPs": ["10.0.0.1"], "hostname": "master-0",
        "user": more.pop("user", {"username": "alice", "groups": ["system:authenticated"]}),
        "objectRef": subject, "responseStatus": {"code": more.pop("code", 200)},
        "requestReceivedTimestamp": more.pop("received", "2026-07-31T10:00:00.000001Z"),
        "stageTimestamp": "2026-07-31T10:00:00.100000Z",
        "annotations": {"authorization.k8s.io/decision": "allow"},
        "openshift": {"cluster_id": "c1", "sequence": 1}, **more,
    }  # fmt: skip


def changed(record: dict[str, Any], *changes: tuple[str, Any]) -> dict[str, Any]:
    """A copy with what stands at `/`-separated places replaced, or `GONE`; a `~` in a key stands for a `/`."""
    found = copy.deepcopy(record)
    for place, value in changes:
        *way, last = [int(key) if key.isdigit() else key.replace("~", "/") for key in place.split("/")]
        into: Any = found
        for key in way:
            into = into[key] if isinstance(key, int) else into.setdefault(key, {})
        if value is GONE:
            del into[last]
        else:
            into[last] = value
    return found


@dataclass
class Case:
    """A query's title, its records by whether they are meant, and what those must give, by `messageId`."""

    title: str
    meant: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    expected: dict[str, dict[str, Any]] = field(default_factory=dict)

    def means(self, record: dict[str, Any], result: dict[str, Any], properties: dict[str, Any]) -> None:
        whole = {
            "messageId": record["auditID"], "timestamp": record["requestReceivedTimestamp"], "type": "track",
            "namespace": "alice-tenant", "context": {"userAgent": "kubectl/v1.27.3"},
        } | result | {"properties": properties}  # fmt: skip
        self.meant.append(record)
        self.expected[record["auditID"]] = {name: value for name, value in whole.items() if value is not None}

    def ignores(self, *records: dict[str, Any]) -> None:
        self.others += [record | {"auditID": f"other-{number}"} for number, record in enumerate(records)]


def numbered(record: dict[str, Any], audit_id: str, *changes: tuple[str, Any]) -> dict[str, Any]:
    return changed(record, ("auditID", audit_id), *changes)


def applications() -> Case:
    case = Case("Application")
    base = audit("app-1", "create", "appstudio.redhat.com", "applications", "my-app", code=201,
                 responseObject={"metadata": {"name": "my-app", "resourceVersion": "7"}})  # fmt: skip
    fields = {"event_verb": "create", "event_subject": "applications", "userId": "alice"}
    kind = {"apiGroup": "appstudio.redhat.com", "apiVersion": "v1alpha1", "kind": "applications"}
    properties = kind | {"name": "my-app", "application": "my-app"}
    case.means(base, fields, properties)
    case.means(numbered(base, "app-2", ("responseStatus/code", 200)), fields, properties)
    impersonated = ("impersonatedUser", {"username": "bob", "groups": []})
    as_proxy = ("user/username", "system:serviceaccount:toolchain:proxy")
    case.means(numbered(base, "app-3", impersonated, as_proxy), fields | {"userId": "bob"}, properties)
    case.means(
        numbered(base, "app-4", ("objectRef/name", GONE)), fields, kind | {"name": None, "application": None}
    )
    # `search` knows no case.
    case.means(numbered(base, "app-5", ("verb", "Create")), fields | {"event_verb": "Create"}, properties)
    case.ignores(
        changed(base, as_proxy),
        changed(base, ("responseStatus/code", 409)),
        changed(base, ("responseObject/metadata/resourceVersion", GONE)),
        changed(base, ("verb", "update")),
        changed(base, ("log_type", "infrastructure")),
    )
    return case


def components() -> Case:
    case = Case("Component")
    base = audit(
        "cmp-1", "create", "appstudio.redhat.com", "components", "my-part", code=201,
        responseObject={
            "metadata": {"name": "my-part", "resourceVersion": "7"},
            "spec": {"application": "my-app", "componentName": "my-part",
                     "source": {"git": {"url": "https://git.example.com/a", "revision": "main"}}},
        },
    )  # fmt: skip
    fields = {"event_verb": "create", "event_subject": "components", "userId": "alice"}
    kind = {"apiGroup": "appstudio.redhat.com", "apiVersion": "v1alpha1", "kind": "components"}
    properties = kind | {
        "name": "my-part", "application": "my-app", "component": "my-part",
        "src_url": "https://git.example.com/a", "src_revision": "main",
    }  # fmt: skip
    case.means(base, fields, properties)
    patch = numbered(base, "cmp-2", ("verb", "patch"), ("responseStatus/code", 200))
    operations = [
        {"op": "add", "path": JSON_PATCH, "value": "configure-pac"},
        {"op": "add", "path": "/metadata/annotations/other", "value": "x"},
    ]
    configure = fields | {"event_verb": "configure-pac"}
    case.means(changed(patch, ("requestObject", operations)), configure, properties)
    trigger = {"metadata": {"annotations": {REQUEST: "trigger-simple-build"}}}
    case.means(
        numbered(patch, "cmp-3", ("requestObject", trigger)),
        fields | {"event_verb": "trigger-simple-build"},
        properties,
    )
    labels = ("responseObject/metadata/labels", {
        "appstudio.openshift.io/application": "label-app", "appstudio.openshift.io/component": "label-part",
    })  # fmt: skip
    deleted = numbered(
        base, "cmp-4", ("verb", "delete"), ("responseStatus/code", 200), labels,
        ("responseObject/spec", GONE), ("responseObject/metadata/resourceVersion", GONE),
    )  # fmt: skip
    case.means(
        deleted,
        fields | {"event_verb": "delete"},
        kind | {"name": "my-part", "application": "label-app", "component": "label-part",
                "src_url": None, "src_revision": None},
    )  # fmt: skip
    other_patch = [{"op": "replace", "path": "/spec/source", "value": {}}, operations[0]]
    case.means(
        numbered(patch, "cmp-5", ("requestObject", other_patch)), fields | {"event_verb": "patch"}, properties
    )
    case.ignores(
        changed(base, ("responseObject/metadata/resourceVersion", GONE)),
        changed(base, ("verb", "get")),
        changed(base, ("user/username", "system:kube-controller-manager")),
        changed(patch, ("responseStatus/code", 422)),
        changed(base, ("objectRef/resource", "componentdetectionqueries")),
    )
    return case


PIPELINE = {
    "metadata": {
        "resourceVersion": "7",
        "labels": {"pipelines.appstudio.openshift.io/type": "build", "appstudio.openshift.io/application": "my-app",
                   "appstudio.openshift.io/component": "my-part"},
        "annotations": {
            "build.appstudio.openshift.io/repo": "https://git.example.com/a?rev=123?x",
            "build.appstudio.redhat.com/commit_sha": "123abc", "build.appstudio.redhat.com/target_branch": "main",
            "pipelinesascode.tekton.dev/event-type": "push", "pipelinesascode.tekton.dev/git-provider": "github",
            "pipelinesascode.tekton.dev/log-url": "https://log.example.com/1",
        },
    },
}  # fmt: skip
TEKTON_KIND = {"apiGroup": "tekton.dev", "apiVersion": "v1beta1", "kind": "pipelineruns"}
PART = {"application": "my-app", "component": "my-part"}
COMMIT = {"repo": "https://git.example.com/a", "commit_sha": "123abc", "target_branch": "main"}
TRIGGER = {
    "git_trigger_event_type": "push", "git_trigger_provider": "github",
    "pipeline_log_url": "https://log.example.com/1",
}  # fmt: skip
NO_COMMIT = dict.fromkeys(COMMIT)
NO_TRIGGER = dict.fromkeys(TRIGGER)
TYPE = "responseObject/metadata/labels/pipelines.appstudio.openshift.io~type"
ANNOTATIONS = "responseObject/metadata/annotations"
CONDITION = "responseObject/status/conditions/0"


def pipeline_run(
    audit_id: str, verb: str, status: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    made = {**copy.deepcopy(PIPELINE), "spec": {}} | ({"status": status} if status else {})
    return audit(audit_id, verb, "tekton.dev", "pipelineruns", "run-1", version="v1beta1",
                 user={"username": "system:serviceaccount:pipelines:sa"}, responseObject=made, **more)  # fmt: skip


def created() -> Case:
    case = Case("Build PipelineRun created")
    base = pipeline_run("new-1", "create", code=201)
    fields = {"event_verb": "create", "event_subject": "pipelineruns", "event": case.title}
    properties = TEKTON_KIND | PART | COMMIT | TRIGGER
    case.means(base, fields, properties)
    case.means(numbered(base, "new-2", ("objectRef/name", GONE)), fields, properties)
    case.means(
        numbered(
            base, "new-3", (f"{ANNOTATIONS}/build.appstudio.openshift.io~repo", "https://git.example.com/b")
        ),
        fields,
        properties | {"repo": "https://git.example.com/b"},
    )
    case.means(
        numbered(base, "new-4", (ANNOTATIONS, GONE)), fields, TEKTON_KIND | PART | NO_COMMIT | NO_TRIGGER
    )
    case.means(
        numbered(
            base, "new-5", ("responseObject/spec", {"application": "spec-app", "componentName": "spec-part"})
        ),
        fields,
        properties | {"application": "spec-app", "component": "spec-part"},
    )
    case.ignores(
        changed(base, (TYPE, "test")),
        changed(base, (TYPE, GONE)),
        changed(base, ("responseObject/metadata/resourceVersion", GONE)),
        changed(base, ("responseStatus/code", 403)),
        changed(base, ("objectRef/resource", "taskruns")),
    )
    return case


def started() -> Case:
    case = Case("Build PipelineRun started")
    message = "Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 7, Skipped: 0"
    running = {"type": "Succeeded", "status": "Unknown", "reason": "Running", "message": message}
    status = {"startTime": "2026-07-31T10:00:00Z", "conditions": [running]}
    base = pipeline_run("run-1", "update", status, subresource="status")
    fields = {"event_verb": "update", "event_subject": "pipelineruns", "event": case.title}
    properties = TEKTON_KIND | PART | TRIGGER
    case.means(base, fields, properties)
    case.means(numbered(base, "run-2", (f"{CONDITION}/message", "Tasks Completed: 0 ")), fields, properties)
    another = {"type": "Started", "status": "True", "reason": "Other", "message": "Tasks Completed: 3 of 4"}
    case.means(
        numbered(base, "run-3", ("responseObject/status/conditions", [another, running])), fields, properties
    )
    case.means(numbered(base, "run-4", ("objectRef/subresource", "Status")), fields, properties)
    case.means(numbered(base, "run-5", (ANNOTATIONS, GONE)), fields, TEKTON_KIND | PART | NO_TRIGGER)
    case.ignores(
        changed(base, (f"{CONDITION}/message", "Tasks Completed: 1 (Failed: 0)")),
        changed(base, (f"{CONDITION}/reason", "running")),
        changed(base, ("responseObject/status/startTime", GONE)),
        changed(base, ("objectRef/subresource", GONE)),
        changed(base, ("responseObject/status/conditions", [another])),
    )
    return case


def clair() -> Case:
    case = Case("Clair scan")
    found = json.dumps({"vulnerabilities": {"critical": 1, "high": 2, "medium": 30, "low": 0}})
    name = "CLAIR_SCAN_RESULT"
    done = {
        "type": "Succeeded",
        "status": "True",
        "reason": "Succeeded",
        "message": "All Steps have completed",
    }
    base = audit(
        "clair-1", "update", "tekton.dev", "taskruns", "task-1", version="v1beta1", subresource="status",
        user={"username": "system:serviceaccount:tekton:controller"},
        requestObject={"metadata": {"labels": {"tekton.dev/pipelineTask": "clair-scan"}}},
        responseObject={
            "metadata": {"labels": {"appstudio.openshift.io/application": "my-app",
                                    "appstudio.openshift.io/component": "my-part"}},
            "status": {"completionTime": "2026-07-31T10:09:00Z", "conditions": [done],
                       "taskResults": [{"name": "OTHER", "value": "{}"}, {"name": name, "value": found}]},
        },
    )  # fmt: skip
    fields = {"event_verb": "update", "event_subject": "taskruns", "event": "Clair scan TaskRun completed"}
    levels = ("critical", "high", "medium", "low")
    kind = TEKTON_KIND | {"kind": "taskruns"} | PART
    properties = kind | {
        f"vulnerabilities_{level}": n for level, n in zip(levels, (1, 2, 30, 0), strict=True)
    }
    unknown = kind | {f"vulnerabilities_{level}": None for level in levels}
    results = "responseObject/status/taskResults"
    case.means(base, fields, properties)
    # Tekton's v1 has another name for the list.
    renamed = changed(
        base, ("responseObject/status/results", [{"name": name, "value": found}]), (results, GONE)
    )
    case.means(numbered(renamed, "clair-2"), fields, properties)
    case.means(numbered(base, "clair-3", (f"{results}/1/value", "no JSON")), fields, unknown)
    partly = json.dumps({"vulnerabilities": {"critical": 4}})
    case.means(
        numbered(base, "clair-4", (f"{results}/1/value", partly)),
        fields,
        unknown | {"vulnerabilities_critical": 4},
    )
    twice = [{"name": name, "value": found}, {"name": name, "value": partly}]
    case.means(numbered(base, "clair-5", (results, twice)), fields, properties)
    case.ignores(
        changed(base, ("requestObject/metadata/labels/tekton.dev~pipelineTask", "clamav-scan")),
        changed(base, ("responseObject/status/completionTime", GONE)),
        changed(base, (f"{CONDITION}/status", "False")),
        changed(base, (results, [{"name": f"{name}_2", "value": found}])),
        changed(base, ("requestObject", GONE)),
    )
    return case


def ended() -> Case:
    case = Case("Build PipelineRun ended")
    message = "Tasks Completed: 7 (Failed: 0, Cancelled 0), Skipped: 2"
    done = {"type": "Succeeded", "status": "True", "reason": "Completed", "message": message}
    status = {"completionTime": "2026-07-31T10:09:00Z", "conditions": [done]}
    base = pipeline_run("end-1", "update", status, subresource="status")
    fields = {"event_verb": "update", "event_subject": "pipelineruns", "event": case.title}
    properties = TEKTON_KIND | PART | COMMIT | TRIGGER
    properties |= {"status_message": message, "status_reason": "Completed"}
    case.means(base, fields, properties)
    case.means(
        numbered(base, "end-2", (f"{CONDITION}/reason", "Failed"), (f"{CONDITION}/message", "it failed")),
        fields,
        properties | {"status_message": "it failed", "status_reason": "Failed"},
    )
    case.means(numbered(base, "end-3", (TYPE, "Build")), fields, properties)
    other = {"type": "SucceededOnce", "status": "True", "reason": "Running", "message": "no"}
    case.means(
        numbered(base, "end-4", ("responseObject/status/conditions", [other, done])), fields, properties
    )
    case.means(
        numbered(base, "end-5", (f"{ANNOTATIONS}/build.appstudio.redhat.com~commit_sha", GONE)),
        fields,
        properties | {"commit_sha": None},
    )
    case.ignores(
        changed(base, (f"{CONDITION}/reason", "Succeeded")),
        changed(base, (f"{CONDITION}/reason", "completed")),
        changed(base, ("responseObject/status/completionTime", GONE)),
        changed(base, ("verb", "patch")),
        changed(base, ("responseStatus/code", 201)),
    )
    return case


def releases() -> Case:
    case = Case("Release")
    done = {"type": "Released", "status": "True", "reason": "Succeeded", "message": ""}
    first = {"type": "Processed", "status": "True", "reason": "Progressing", "message": "first"}
    base = audit(
        "rel-1", "patch", "appstudio.redhat.com", "releases", "release-1", subresource="status",
        user={"username": "system:serviceaccount:release-service:controller"},
        responseObject={
            "metadata": {"resourceVersion": "7", "ownerReferences": [{"kind": "Application", "name": "my-app"},
                                                                     {"kind": "Other", "name": "other"}]},
            "status": {"completionTime": "2026-07-31T10:09:00Z",
                       "conditions": [done | {"message": "Release processed successfully"}]},
        },
    )  # fmt: skip
    fields = {"event_verb": "patch", "event_subject": "releases", "event": "Release process done"}
    properties = {
        "apiGroup": "appstudio.redhat.com", "apiVersion": "v1alpha1", "kind": "releases", "name": "release-1",
        "application": "my-app", "status_message": "Release processed successfully", "status_reason": "Succeeded",
    }  # fmt: skip
    conditions = "responseObject/status/conditions"
    case.means(base, fields, properties)
    case.means(
        numbered(base, "rel-2", (f"{CONDITION}/reason", "Failed"), (f"{CONDITION}/message", "no access")),
        fields,
        properties | {"status_reason": "Failed", "status_message": "no access"},
    )
    case.means(
        numbered(base, "rel-3", (conditions, [first, done | {"message": "at last"}])),
        fields,
        properties | {"status_message": "at last"},
    )
    case.means(
        numbered(base, "rel-4", ("responseObject/metadata/ownerReferences", GONE)),
        fields,
        properties | {"application": None},
    )
    case.means(
        numbered(base, "rel-5", ("objectRef/name", "release-5")), fields, properties | {"name": "release-5"}
    )
    case.ignores(
        changed(base, (f"{CONDITION}/reason", "Progressing")),
        changed(base, (conditions, [first])),
        changed(base, ("verb", "update")),
        changed(base, ("objectRef/subresource", GONE)),
        changed(base, ("responseObject/metadata/resourceVersion", GONE)),
    )
    return case


def pull_requests() -> Case:
    case = Case("Pull request")
    place = f"responseObject/metadata/annotations/{STATUS.replace('/', '~')}"
    base = audit(
        "pr-1", "update", "appstudio.redhat.com", "components", "my-part", user={"username": BUILD_SERVICE},
        responseObject={
            "metadata": {"annotations": {STATUS: PAC % "https://git.example.com/a/pull/1"}},
            "spec": {"application": "my-app", "componentName": "my-part",
                     "source": {"git": {"url": "https://git.example.com/a", "revision": "main"}}},
        },
    )  # fmt: skip
    fields = {"event_verb": "update", "event_subject": "components", "event": "Pull request created"}
    properties = {
        "apiGroup": "appstudio.redhat.com", "apiVersion": "v1alpha1", "kind": "components", "name": "my-part",
        "application": "my-app", "component": "my-part", "src_url": "https://git.example.com/a",
        "src_revision": "main", "merge_url": "https://git.example.com/a/pull/1",
    }  # fmt: skip
    case.means(base, fields, properties)
    for number in range(2, 6):
        url = f"https://git.example.com/a/pull/{number}"
        meant = numbered(base, f"pr-{number}", (place, PAC % url))
        case.means(meant, fields, properties | {"merge_url": url})
    case.ignores(
        # The same pull request, told again later.
        changed(base, ("requestReceivedTimestamp", "2026-07-31T10:00:00.000002Z")),
        changed(base, (place, PAC.replace("enabled", "disabled") % "https://git.example.com/a/pull/9")),
        changed(base, (place, '{"simple":{"build-start-time":"now"}}')),
        changed(base, (f"responseObject/metadata/annotations/{REQUEST.replace('/', '~')}", "configure-pac")),
        changed(base, ("user/username", "system:serviceaccount:other:controller")),
    )
    return case


CASES = [applications(), components(), created(), started(), clair(), ended(), releases(), pull_requests()]


def everything() -> list[dict[str, Any]]:
    """Every record of every query, those that are not meant among the others."""
    return [record for case in CASES for pair in zip(case.others, case.meant, strict=True) for record in pair]


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    """One a line, as the log has them."""
    path.write_bytes(b"".join(json.dumps(record).encode() + b"\n" for record in records))
    return path


def told(lines: list[bytes]) -> dict[str, dict[str, Any]]:
    """Results by `messageId`, their JSON decoded; each must come once."""
    results: dict[str, dict[str, Any]] = {}
    for line in lines:
        row = json.loads(line)
        result = row["result"]
        assert row["preview"] is False
        assert list(result) == sorted(result)
        assert result["messageId"] not in results
        assert all(isinstance(value, str) for value in result.values())
        decoded = {name: json.loads(result[name]) for name in ("properties", "context")}
        results[result["messageId"]] = result | decoded
    return results
