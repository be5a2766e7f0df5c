"""The eight searches of the original scripts, as their query generator writes them.

None of our own code is in them: they hold the simulator to what real Splunk was asked. What Splunk answered for
`records.jsonl` is in `required.ndjson`.
"""

from dataclasses import dataclass, field

LABELS = "responseObject.metadata.labels"
ANNOTATIONS = "responseObject.metadata.annotations"
CONDITIONS = "responseObject.status.conditions{}"
RESULTS = "responseObject.status.taskResults{}"
STATUS = f"{ANNOTATIONS}.build.appstudio.openshift.io/status"
REQUEST = "build.appstudio.openshift.io/request"
HUMAN = '("impersonatedUser.username"="*" OR (user.username="*" AND NOT user.username="system:*"))'
STORED = '"responseObject.metadata.resourceVersion"="*"'
BUILD = f'"{LABELS}.pipelines.appstudio.openshift.io/type"=build'
ON_STATUS = '"objectRef.subresource"="status"'
COMPLETED = '"responseObject.status.completionTime"="*"'
GONE_OR_STORED = f"(verb!=create OR {STORED})"


def either(first: str, second: str) -> str:
    return f"if(isnull('{first}'),'{second}','{first}')"


def matched(member: str) -> str:
    return f"mvindex('{CONDITIONS}.{member}', status_condition_index)"


def condition(kind: str, *reasons: str, more: str = "") -> tuple[str, str]:
    choices = '", "'.join(reasons)
    return (
        f"eval status_condition_index=mvfind('{CONDITIONS}.type', \"{kind}\")",
        f'where isnotnull(status_condition_index) AND {matched("reason")} IN ("{choices}"){more}',
    )


VERB = f"""case(
\t\t\t\t'objectRef.resource'=="components"
\t\t\t\tAND verb=="patch"
\t\t\t\tAND spath(_raw,"requestObject{{0}}.path")=="/metadata/annotations/{REQUEST.replace("/", "~1")}",
\t\t\t\tspath(_raw, "requestObject{{0}}.value"),
\t\t\t\t'objectRef.resource'=="components"
\t\t\t\tAND verb=="patch"
\t\t\t\tAND NOT isnull('requestObject.metadata.annotations.{REQUEST}'),
\t\t\t\t'requestObject.metadata.annotations.{REQUEST}',
\t\t\t\ttrue(),
\t\t\t\t'verb'
\t\t\t\t)"""
SOURCES = {
    "messageId": "'auditID'",
    "timestamp": "'requestReceivedTimestamp'",
    "type": '"track"',
    "userId": either("impersonatedUser.username", "user.username"),
    "namespace": "'objectRef.namespace'",
    "event_verb": "'verb'",
    "event_subject": "'objectRef.resource'",
}
PROPERTIES = {
    "apiGroup": "'objectRef.apiGroup'",
    "apiVersion": "'objectRef.apiVersion'",
    "kind": "'objectRef.resource'",
    "name": "'objectRef.name'",
    "src_url": "'responseObject.spec.source.git.url'",
    "src_revision": "'responseObject.spec.source.git.revision'",
    "application": either("responseObject.spec.application", f"{LABELS}.appstudio.openshift.io/application"),
    "commit_sha": f"'{ANNOTATIONS}.build.appstudio.redhat.com/commit_sha'",
    "component": either("responseObject.spec.componentName", f"{LABELS}.appstudio.openshift.io/component"),
    "repo": f'replace(\'{ANNOTATIONS}.build.appstudio.openshift.io/repo\',"^([^?]*)(.*)?","\\1")',
    "target_branch": f"'{ANNOTATIONS}.build.appstudio.redhat.com/target_branch'",
    "git_trigger_event_type": f"'{ANNOTATIONS}.pipelinesascode.tekton.dev/event-type'",
    "git_trigger_provider": f"'{ANNOTATIONS}.pipelinesascode.tekton.dev/git-provider'",
    "pipeline_log_url": f"'{ANNOTATIONS}.pipelinesascode.tekton.dev/log-url'",
    "merge_url": "'build_status.pac.merge-url'",
    "status_message": matched("message"),
    "status_reason": matched("reason"),
    **{
        f"vulnerabilities_{level}": f"'clair_scan_result.vulnerabilities.{level}'"
        for level in ("critical", "high", "medium", "low")
    },
}
TRIGGER = ("git_trigger_event_type", "git_trigger_provider", "pipeline_log_url")
COMMIT = ("repo", "commit_sha", "target_branch")


@dataclass(frozen=True)
class Original:
    group: str
    resource: str
    predicate: str
    properties: tuple[str, ...]
    commands: tuple[str, ...] = ()
    event: str = ""
    user: bool = False
    own: dict[str, str] = field(default_factory=dict)

    def spl(self, index: str) -> str:
        search = (
            f'search index="{index}" log_type=audit "objectRef.apiGroup"="{self.group}" '
            f'"objectRef.resource"="{self.resource}" {" | ".join((self.predicate, *self.commands))}'
        )
        top = SOURCES | ({"event": f'"{self.event}"'} if self.event else {})
        shown = sorted(name for name in top if name != "userId" or self.user)
        properties = PROPERTIES | self.own
        names = sorted(("apiGroup", "apiVersion", "kind", *self.properties))
        evals = [f"{name}={self.own.get(name, top[name])}" for name in shown]
        members = ",".join(f'"{name}",{properties[name]}' for name in names)
        evals += [f"properties=json_object({members})", "context=json_object(\"userAgent\",'userAgent')"]
        fields = ",".join(sorted((*top, "context", "properties")))
        return f"{search}|eval {','.join(evals)}|fields {fields}|fields - _*"


def clair() -> tuple[str, ...]:
    found = f"mvindex('{RESULTS}.value', tekton_task_result_index)"
    levels = ("critical", "high", "medium", "low")
    return (
        *condition("Succeeded", "Succeeded", more=f' AND {matched("status")} IN ("True")'),
        f"eval tekton_task_result_index=mvfind('{RESULTS}.name', \"CLAIR_SCAN_RESULT\")",
        "where isnotnull(tekton_task_result_index)",
        f"eval clair_scan_result={found}",
        *(
            f"spath input=clair_scan_result, path=vulnerabilities.{level} "
            f"output=clair_scan_result.vulnerabilities.{level}"
            for level in levels
        ),
    )


ORIGINALS = (
    Original(
        "appstudio.redhat.com", "applications",
        f'verb=create "responseStatus.code" IN (200, 201) {HUMAN} {GONE_OR_STORED}',
        ("name", "application"), user=True, own={"application": "'objectRef.name'"},
    ),
    Original(
        "appstudio.redhat.com", "components",
        f'verb IN (create, update, delete, patch) "responseStatus.code" IN (200, 201) {HUMAN} {GONE_OR_STORED}',
        ("name", "application", "component", "src_url", "src_revision"), user=True, own={"event_verb": VERB},
    ),
    Original(
        "tekton.dev", "pipelineruns", f'verb=create "responseStatus.code" IN (200, 201) {BUILD} {STORED}',
        ("application", "component", *COMMIT, *TRIGGER), event="Build PipelineRun created",
    ),
    Original(
        "tekton.dev", "pipelineruns",
        f'verb=update "responseStatus.code"=200 {ON_STATUS} {BUILD} {STORED} "responseObject.status.startTime"="*"',
        ("application", "component", *TRIGGER),
        condition("Succeeded", "Running", more=f' AND like({matched("message")}, "Tasks Completed: 0 %")'),
        event="Build PipelineRun started",
    ),
    Original(
        "tekton.dev", "taskruns",
        f'verb=update "responseStatus.code"=200 {ON_STATUS} '
        f'"requestObject.metadata.labels.tekton.dev/pipelineTask"="clair-scan" {COMPLETED}',
        ("application", "component", "vulnerabilities_critical", "vulnerabilities_high",
         "vulnerabilities_medium", "vulnerabilities_low"),
        clair(), event="Clair scan TaskRun completed",
    ),
    Original(
        "tekton.dev", "pipelineruns",
        f'verb=update "responseStatus.code"=200 {ON_STATUS} {BUILD} {STORED} {COMPLETED}',
        ("application", "component", "status_message", "status_reason", *COMMIT, *TRIGGER),
        condition("Succeeded", "Completed", "Failed"), event="Build PipelineRun ended",
    ),
    Original(
        "appstudio.redhat.com", "releases",
        f'verb=patch "responseStatus.code"=200 {ON_STATUS} {STORED} {COMPLETED}',
        ("name", "application", "status_reason", "status_message"),
        condition("Released", "Succeeded", "Failed"), event="Release process done",
        own={"application": "mvindex('responseObject.metadata.ownerReferences{}.name',0)"},
    ),
    Original(
        "appstudio.redhat.com", "components",
        'verb=update "responseStatus.code"=200 '
        '"user.username"="system:serviceaccount:build-service:build-service-controller-manager" '
        f'"{STATUS}"="*pac*" (NOT "{ANNOTATIONS}.{REQUEST}"="*")',
        ("name", "application", "component", "merge_url", "src_url", "src_revision"),
        (
            f'spath input="{STATUS}", path=pac.state output=build_status.pac.state',
            'search "build_status.pac.state"="enabled"',
            f'spath input="{STATUS}", path=pac.merge-url output=build_status.pac.merge-url',
            "dedup build_status.pac.merge-url sortby +_time",
        ),
        event="Pull request created", own={"event_verb": VERB},
    ),
)  # fmt: skip
