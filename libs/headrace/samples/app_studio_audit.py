"""Audit records of users at work in AppStudio, as a cluster forwards them; equal for equal options.

A journey is ten records, eight of which one of the segment bridge's queries means.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from headrace.samples.app_studio import user_name
from headrace.samples.options import random_uuid

RECORDS_OF_A_JOURNEY: Final = 10
MEANT_OF_A_JOURNEY: Final = 8

_STUDIO: Final = ("appstudio.redhat.com", "v1alpha1")
_TEKTON: Final = ("tekton.dev", "v1beta1")
_BUILD_SERVICE: Final = "system:serviceaccount:build-service:build-service-controller-manager"
_PIPELINES: Final = "system:serviceaccount:openshift-pipelines:tekton-pipelines-controller"
_BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"

Record = dict[str, Any]


def journeys(
    count: int, *, users: int, now: datetime, within: timedelta = timedelta(hours=3), seed: int = 1
) -> Iterator[Record]:
    """Records of so many journeys in the time before ``now``, the oldest first."""
    chooser = random.Random(f"{seed} journeys {now.isoformat()}")  # noqa: S311 -- data for show, not secrets
    step = within / max(1, count * RECORDS_OF_A_JOURNEY)
    at = now - within
    for number in range(count):
        for record in _Journey(number, user_name(1 + number % users)).records():
            received = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            yield {
                "kind": "Event",
                "apiVersion": "audit.k8s.io/v1",
                "log_type": "audit",
                "level": "RequestResponse",
                "stage": "ResponseComplete",
                "auditID": random_uuid(chooser),
                "requestReceivedTimestamp": received,
                "stageTimestamp": received,
                **record,
            }
            at += step


class _Journey:
    """One user makes an application and a component, which is built, scanned and released."""

    def __init__(self, number: int, user: str) -> None:
        self.application, self.component = f"app-{number}", f"part-{number}"
        self.run, self.user = f"{self.component}-on-push-{number:05d}", user

    def records(self) -> Iterator[Record]:
        user, git = (
            self.user,
            {"url": f"https://git.example.com/{self.user}/{self.component}", "revision": "main"},
        )
        spec = {"application": self.application, "componentName": self.component, "source": {"git": git}}
        merge_url = f"{git['url']}/pull/1"
        pac = {
            "build.appstudio.openshift.io/status": (
                f'{{"pac":{{"state":"enabled","merge-url":"{merge_url}"}},"message":"done"}}'
            )
        }
        yield self._studio("create", "applications", self.application, user)
        yield self._studio("create", "components", self.component, user, spec=spec)
        yield self._studio("update", "components", self.component, _BUILD_SERVICE, spec=spec, annotations=pac)
        yield self._run("create", {})
        waiting = "Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 7, Skipped: 0"
        yield self._run("update", _status("Succeeded", "Unknown", "Running", waiting, ended=False))
        yield self._scan()
        yield self._run("update", _status("Succeeded", "True", "Completed", "Tasks Completed: 7, Skipped: 0"))
        yield self._release()
        # What no query means: a refusal, and a controller's own doing.
        yield self._studio("create", "applications", self.application, user, code=409)
        yield self._studio("patch", "snapshots", f"{self.application}-snapshot", _PIPELINES)

    def _studio(
        self, verb: str, resource: str, name: str, user: str, *, code: int = 0, **parts: Any
    ) -> Record:
        metadata = {"name": name, "resourceVersion": "7"}
        if annotations := parts.pop("annotations", None):
            metadata["annotations"] = annotations
        return self._record(
            _STUDIO, verb, resource, name, user, code=code, response={"metadata": metadata} | parts
        )

    def _run(self, verb: str, status: Record) -> Record:
        response = {"metadata": self._build_metadata(self.run), "spec": {}} | (
            {"status": status} if status else {}
        )
        return self._record(
            _TEKTON, verb, "pipelineruns", self.run, _PIPELINES, response=response, status=bool(status)
        )

    def _scan(self) -> Record:
        name = f"{self.run}-clair-scan"
        status = _status("Succeeded", "True", "Succeeded", "All Steps have completed executing")
        counts = '{"vulnerabilities":{"critical":0,"high":2,"medium":14,"low":3}}\n'
        results = [{"name": "CLAIR_SCAN_RESULT", "type": "string", "value": counts}]
        return self._record(
            _TEKTON, "update", "taskruns", name, _PIPELINES, status=True,
            request={"metadata": {"name": name, "labels": {"tekton.dev/pipelineTask": "clair-scan"}}},
            response={"metadata": self._build_metadata(name), "status": status | {"taskResults": results}},
        )  # fmt: skip

    def _release(self) -> Record:
        owner = {"kind": "Application", "name": self.application}
        return self._record(
            _STUDIO, "patch", "releases", f"{self.application}-release", _PIPELINES, status=True,
            response={
                "metadata": {"resourceVersion": "7", "ownerReferences": [owner]},
                "status": _status("Released", "True", "Succeeded", "Release processed"),
            },
        )  # fmt: skip

    def _build_metadata(self, name: str) -> Record:
        return {
            "name": name,
            "resourceVersion": "7",
            "labels": {
                "pipelines.appstudio.openshift.io/type": "build",
                "appstudio.openshift.io/application": self.application,
                "appstudio.openshift.io/component": self.component,
            },
            "annotations": {
                "build.appstudio.openshift.io/repo": f"https://git.example.com/{self.user}/{self.component}?rev=1",
                "build.appstudio.redhat.com/commit_sha": "0123456789abcdef0123456789abcdef01234567",
                "build.appstudio.redhat.com/target_branch": "main",
                "pipelinesascode.tekton.dev/event-type": "push",
                "pipelinesascode.tekton.dev/git-provider": "github",
                "pipelinesascode.tekton.dev/log-url": f"https://console.example.com/pipelineruns/{name}",
            },
        }

    def _record(
        self, api: tuple[str, str], verb: str, resource: str, name: str, user: str, *,
        response: Record, request: Record | None = None, code: int = 0, status: bool = False,
    ) -> Record:  # fmt: skip
        subject = {
            "apiGroup": api[0],
            "apiVersion": api[1],
            "resource": resource,
            "namespace": f"{self.user}-tenant",
            "name": name,
        }
        return {
            "verb": verb,
            "requestURI": f"/apis/{api[0]}/{api[1]}/namespaces/{self.user}-tenant/{resource}",
            "userAgent": _BROWSER if user == self.user else "controller/v1.27.3",
            "user": {"username": user, "groups": ["system:authenticated"]},
            "objectRef": subject | ({"subresource": "status"} if status else {}),
            "responseStatus": {"code": code or (201 if verb == "create" else 200)},
            **({"requestObject": request} if request else {}),
            "responseObject": response,
        }


def _status(kind: str, state: str, reason: str, message: str, *, ended: bool = True) -> Record:
    condition = {"type": kind, "status": state, "reason": reason, "message": message}
    completion = {"completionTime": "2026-01-01T00:10:00Z"} if ended else {}
    return {"startTime": "2026-01-01T00:00:00Z", "conditions": [condition]} | completion
