"""The eight queries of the user journey, as data: the audit records that match, and the output fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as declare
from typing import Final

from headrace_services.segment_bridge.expressions import (
    All,
    Both,
    Choice,
    Condition,
    Either,
    Element,
    Equal,
    Fallback,
    Field,
    InJson,
    IsSet,
    Like,
    Match,
    Not,
    UpTo,
    Value,
    field,
    quoted,
)

AUDIT_LOG_TYPE: Final = "audit"
RECEIVED: Final = field("requestReceivedTimestamp")

_LABELS: Final = "responseObject.metadata.labels"
_ANNOTATIONS: Final = "responseObject.metadata.annotations"
_CONDITIONS: Final = ("responseObject", "status", "conditions")
_OWNERS: Final = ("responseObject", "metadata", "ownerReferences")
# Tekton renamed the list of results between v1beta1 and v1.
_RESULTS: Final = (("responseObject", "status", "taskResults"), ("responseObject", "status", "results"))


@dataclass(frozen=True)
class Query:
    """``search`` contains terms of Splunk's search command, ``where`` exact conditions.

    With ``earliest_per``, only the first received of several records with the same value counts, and records without a
    value do not.
    """

    title: str
    group: str
    resource: str
    verbs: tuple[str, ...]
    codes: tuple[int, ...]
    search: tuple[Condition, ...]
    where: tuple[Condition, ...] = ()
    earliest_per: Value | None = None
    event: str = ""
    event_verb: Value = declare(default_factory=lambda: field("verb"))
    user: Value | None = None
    properties: Mapping[str, Value] = declare(default_factory=dict)

    def terms(self) -> tuple[Condition, ...]:
        """Return all terms of the search command except for the kind of log and the index."""
        return (
            Match(field("objectRef.apiGroup"), (self.group,)),
            Match(field("objectRef.resource"), (self.resource,)),
            Match(field("verb"), self.verbs),
            Match(field("responseStatus.code"), tuple(map(str, self.codes))),
            *self.search,
        )

    def outputs(self) -> dict[str, Value]:
        """Return the plain output fields, beside `literals` and `objects`."""
        outputs: dict[str, Value] = {
            "messageId": field("auditID"),
            "timestamp": RECEIVED,
            "namespace": field("objectRef.namespace"),
            "event_verb": self.event_verb,
            "event_subject": field("objectRef.resource"),
        }
        return outputs | ({"userId": self.user} if self.user else {})

    def literals(self) -> dict[str, str]:
        """Return the output fields that are the same in every row."""
        return {"type": "track"} | ({"event": self.event} if self.event else {})

    def objects(self) -> dict[str, dict[str, Value]]:
        """Return the output fields that are objects, in JSON."""
        kind: dict[str, Value] = {
            "apiGroup": field("objectRef.apiGroup"),
            "apiVersion": field("objectRef.apiVersion"),
            "kind": field("objectRef.resource"),
        }
        return {"context": {"userAgent": field("userAgent")}, "properties": kind | dict(self.properties)}

    def spl(self, index: str) -> str:
        """Return the whole search, on one line."""
        terms = " ".join(term.spl for term in self.terms())
        commands = [f"search index={quoted(index)} log_type={AUDIT_LOG_TYPE} {terms}"]
        if self.where:
            commands.append(f"where {' AND '.join(condition.spl for condition in self.where)}")
        if self.earliest_per:
            commands += [
                f"eval _one={self.earliest_per.spl}",
                f"sort 0 {RECEIVED.name}",
                "dedup _one",
            ]
        outputs = {name: value.spl for name, value in self.outputs().items()}
        outputs |= {name: quoted(text) for name, text in self.literals().items()}
        outputs |= {name: _json_object(members) for name, members in self.objects().items()}
        commands += [
            f"eval {', '.join(f'{name}={value}' for name, value in outputs.items())}",
            f"fields {', '.join(sorted(outputs))}",
            "fields - _*",
        ]
        return " | ".join(commands)


def _json_object(members: Mapping[str, Value]) -> str:
    return f"json_object({','.join(f'{quoted(key)},{value.spl}' for key, value in members.items())})"


def _label(name: str) -> Field:
    return field(_LABELS, name)


def _annotation(name: str) -> Field:
    return field(_ANNOTATIONS, name)


def _condition(kind: str, member: str) -> Element:
    return Element(_CONDITIONS, member, "type", kind)


def _result(name: str) -> Fallback:
    first, second = (Element(keys, "value", "name", name) for keys in _RESULTS)
    return Fallback(first, second)


def _tells(kind: str, *reasons: str) -> Equal:
    return Equal(_condition(kind, "reason"), reasons)


_APP_STUDIO: Final = "appstudio.redhat.com"
_TEKTON: Final = "tekton.dev"

_IMPERSONATED: Final = field("impersonatedUser.username")
_USER: Final = field("user.username")
# A person, not a machine of the cluster.
_HUMAN: Final = Either(Match(_IMPERSONATED), Both(Match(_USER), Not(Match(_USER, ("system:*",)))))
# Objects that were not stored, as in dry runs, have no version.
_STORED: Final = Match(field("responseObject.metadata.resourceVersion"))
_STATUS: Final = Match(field("objectRef.subresource"), ("status",))
_BUILD: Final = Match(_label("pipelines.appstudio.openshift.io/type"), ("build",))
_COMPLETED: Final = Match(field("responseObject.status.completionTime"))

_NAME: Final = field("objectRef.name")
_WHO: Final = Fallback(_IMPERSONATED, _USER)
_APPLICATION: Final = Fallback(
    field("responseObject.spec.application"), _label("appstudio.openshift.io/application")
)
_COMPONENT: Final = Fallback(
    field("responseObject.spec.componentName"), _label("appstudio.openshift.io/component")
)
_SOURCE: Final[Mapping[str, Value]] = {
    "src_url": field("responseObject.spec.source.git.url"),
    "src_revision": field("responseObject.spec.source.git.revision"),
}
_COMMIT: Final[Mapping[str, Value]] = {
    "repo": UpTo(_annotation("build.appstudio.openshift.io/repo"), "?"),
    "commit_sha": _annotation("build.appstudio.redhat.com/commit_sha"),
    "target_branch": _annotation("build.appstudio.redhat.com/target_branch"),
}
_TRIGGER: Final[Mapping[str, Value]] = {
    "git_trigger_event_type": _annotation("pipelinesascode.tekton.dev/event-type"),
    "git_trigger_provider": _annotation("pipelinesascode.tekton.dev/git-provider"),
    "pipeline_log_url": _annotation("pipelinesascode.tekton.dev/log-url"),
}
_PART: Final[Mapping[str, Value]] = {"application": _APPLICATION, "component": _COMPONENT}

_CLAIR: Final = _result("CLAIR_SCAN_RESULT")
_LEVELS: Final = ("critical", "high", "medium", "low")

_BUILD_REQUEST: Final = "build.appstudio.openshift.io/request"
_BUILD_STATUS: Final = _annotation("build.appstudio.openshift.io/status")
_PATCH: Final = Equal(field("verb"), ("patch",))
_MERGE_PATCHED: Final = field("requestObject.metadata.annotations", _BUILD_REQUEST)
# An annotation requests a build; the verb is then that of the request.
_COMPONENT_VERB: Final = Choice(
    (
        (
            All(
                (
                    _PATCH,
                    Equal(
                        Element(("requestObject",), "path"),
                        (f"/metadata/annotations/{_BUILD_REQUEST.replace('/', '~1')}",),
                    ),
                    IsSet(Element(("requestObject",), "value")),
                )
            ),
            Element(("requestObject",), "value"),
        ),
        (All((_PATCH, IsSet(_MERGE_PATCHED))), _MERGE_PATCHED),
    ),
    field("verb"),
)
_BUILD_SERVICE: Final = "system:serviceaccount:build-service:build-service-controller-manager"

QUERIES: Final = (
    Query(
        title="Application",
        group=_APP_STUDIO,
        resource="applications",
        verbs=("create",),
        codes=(200, 201),
        search=(_HUMAN, _STORED),
        user=_WHO,
        properties={"name": _NAME, "application": _NAME},
    ),
    Query(
        title="Component",
        group=_APP_STUDIO,
        resource="components",
        verbs=("create", "update", "delete", "patch"),
        codes=(200, 201),
        search=(_HUMAN, Either(Not(Match(field("verb"), ("create",))), _STORED)),
        event_verb=_COMPONENT_VERB,
        user=_WHO,
        properties={"name": _NAME, **_PART, **_SOURCE},
    ),
    Query(
        title="Build PipelineRun created",
        group=_TEKTON,
        resource="pipelineruns",
        verbs=("create",),
        codes=(200, 201),
        search=(_BUILD, _STORED),
        event="Build PipelineRun created",
        properties={**_PART, **_COMMIT, **_TRIGGER},
    ),
    Query(
        title="Build PipelineRun started",
        group=_TEKTON,
        resource="pipelineruns",
        verbs=("update",),
        codes=(200,),
        search=(_STATUS, _BUILD, _STORED, Match(field("responseObject.status.startTime"))),
        where=(
            _tells("Succeeded", "Running"),
            Like(_condition("Succeeded", "message"), "Tasks Completed: 0 %"),
        ),
        event="Build PipelineRun started",
        properties={**_PART, **_TRIGGER},
    ),
    Query(
        title="Clair scan",
        group=_TEKTON,
        resource="taskruns",
        verbs=("update",),
        codes=(200,),
        search=(
            _STATUS,
            Match(field("requestObject.metadata.labels", "tekton.dev/pipelineTask"), ("clair-scan",)),
            _COMPLETED,
        ),
        where=(
            _tells("Succeeded", "Succeeded"),
            Equal(_condition("Succeeded", "status"), ("True",)),
            IsSet(_CLAIR),
        ),
        event="Clair scan TaskRun completed",
        properties={
            **_PART,
            **{f"vulnerabilities_{level}": InJson(_CLAIR, f"vulnerabilities.{level}") for level in _LEVELS},
        },
    ),
    Query(
        title="Build PipelineRun ended",
        group=_TEKTON,
        resource="pipelineruns",
        verbs=("update",),
        codes=(200,),
        search=(_STATUS, _BUILD, _STORED, _COMPLETED),
        where=(_tells("Succeeded", "Completed", "Failed"),),
        event="Build PipelineRun ended",
        properties={
            **_PART,
            **_COMMIT,
            **_TRIGGER,
            "status_message": _condition("Succeeded", "message"),
            "status_reason": _condition("Succeeded", "reason"),
        },
    ),
    Query(
        title="Release",
        group=_APP_STUDIO,
        resource="releases",
        verbs=("patch",),
        codes=(200,),
        search=(_STATUS, _STORED, _COMPLETED),
        where=(_tells("Released", "Succeeded", "Failed"),),
        event="Release process done",
        properties={
            "name": _NAME,
            "application": Element(_OWNERS, "name"),
            "status_message": _condition("Released", "message"),
            "status_reason": _condition("Released", "reason"),
        },
    ),
    Query(
        title="Pull request",
        group=_APP_STUDIO,
        resource="components",
        verbs=("update",),
        codes=(200,),
        search=(
            Match(_USER, (_BUILD_SERVICE,)),
            Match(_BUILD_STATUS, ("*pac*",)),
            Not(Match(_annotation(_BUILD_REQUEST))),
        ),
        where=(Equal(InJson(_BUILD_STATUS, "pac.state"), ("enabled",)),),
        earliest_per=InJson(_BUILD_STATUS, "pac.merge-url"),
        event="Pull request created",
        properties={
            "name": _NAME,
            **_PART,
            **_SOURCE,
            "merge_url": InJson(_BUILD_STATUS, "pac.merge-url"),
        },
    ),
)
