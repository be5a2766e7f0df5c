"""The queries against the contract's table, written out by hand once more."""

import re

import pytest

from headrace.local.simulators.spl import parse
from headrace_services.segment_bridge.queries import QUERIES

HUMAN = '("impersonatedUser.username"="*" OR ("user.username"="*" AND NOT "user.username"="system:*"))'
STORED = '"responseObject.metadata.resourceVersion"="*"'
STATUS = '"objectRef.subresource"="status"'
BUILD = '"responseObject.metadata.labels.pipelines.appstudio.openshift.io/type"="build"'
COMPLETED = '"responseObject.status.completionTime"="*"'
BOTH_CODES = '"responseStatus.code" IN ("200", "201")'
OK = '"responseStatus.code"="200"'
CREATOR = '"user.username"="system:serviceaccount:build-service:build-service-controller-manager"'
ANNOTATION = "responseObject.metadata.annotations.build.appstudio.openshift.io"
CLAIR = '"requestObject.metadata.labels.tekton.dev/pipelineTask"="clair-scan"'
# group, resource, what the search command asks besides, event
TABLE = [
    ("appstudio.redhat.com", "applications", f'verb="create" {BOTH_CODES} {HUMAN} {STORED}', None),
    (
        "appstudio.redhat.com",
        "components",
        f'verb IN ("create", "update", "delete", "patch") {BOTH_CODES} {HUMAN} (NOT verb="create" OR {STORED})',
        None,
    ),
    (
        "tekton.dev",
        "pipelineruns",
        f'verb="create" {BOTH_CODES} {BUILD} {STORED}',
        "Build PipelineRun created",
    ),
    (
        "tekton.dev",
        "pipelineruns",
        f'verb="update" {OK} {STATUS} {BUILD} {STORED} "responseObject.status.startTime"="*"',
        "Build PipelineRun started",
    ),
    (
        "tekton.dev",
        "taskruns",
        f'verb="update" {OK} {STATUS} {CLAIR} {COMPLETED}',
        "Clair scan TaskRun completed",
    ),
    (
        "tekton.dev",
        "pipelineruns",
        f'verb="update" {OK} {STATUS} {BUILD} {STORED} {COMPLETED}',
        "Build PipelineRun ended",
    ),
    (
        "appstudio.redhat.com",
        "releases",
        f'verb="patch" {OK} {STATUS} {STORED} {COMPLETED}',
        "Release process done",
    ),
    (
        "appstudio.redhat.com",
        "components",
        f'verb="update" {OK} {CREATOR} "{ANNOTATION}/status"="*pac*" NOT "{ANNOTATION}/request"="*"',
        "Pull request created",
    ),
]
NUMBERED = list(zip(range(1, 9), QUERIES, TABLE, strict=True))
# The fields of `properties`, by the queries that have them.
PROPERTIES = {
    "apiGroup apiVersion kind application": "12345678", "name": "1278", "component": "234568",
    "src_url src_revision": "28", "repo commit_sha target_branch": "36",
    "git_trigger_event_type git_trigger_provider pipeline_log_url": "346", "status_message status_reason": "67",
    "vulnerabilities_critical vulnerabilities_high vulnerabilities_medium vulnerabilities_low": "5",
    "merge_url": "8",
}  # fmt: skip


@pytest.mark.parametrize(("number", "query", "row"), NUMBERED)
def test_a_search_asks_what_the_table_says(number, query, row):
    group, resource, asked, _ = row
    search = query.spl("federated:rh_rhtap_stage_audit").split(" | ")[0]
    assert search == (
        'search index="federated:rh_rhtap_stage_audit" log_type=audit'
        f' "objectRef.apiGroup"="{group}" "objectRef.resource"="{resource}" {asked}'
    )


@pytest.mark.parametrize(("number", "query", "row"), NUMBERED)
def test_a_search_gives_the_fields_of_the_table(number, query, row):
    *_, evaluated, kept, dropped = query.spl("main").split(" | ")
    event = row[3]
    names = {
        "context",
        "event_subject",
        "event_verb",
        "messageId",
        "namespace",
        "properties",
        "timestamp",
        "type",
    }
    names |= {"userId"} if number in {1, 2} else set()
    names |= {"event"} if event else set()
    assert kept == f"fields {', '.join(sorted(names))}"
    assert dropped == "fields - _*"
    assert event is None or f'event="{event}"' in evaluated
    assert (
        "messageId='auditID', timestamp='requestReceivedTimestamp', namespace='objectRef.namespace'"
        in evaluated
    )
    assert 'type="track"' in evaluated
    assert "context=json_object(\"userAgent\",'userAgent')" in evaluated


@pytest.mark.parametrize(("number", "query", "row"), NUMBERED)
def test_properties_are_those_of_the_table(number, query, row):
    wanted = [name for names, of in PROPERTIES.items() if str(number) in of for name in names.split()]
    assert sorted(query.objects()["properties"]) == sorted(wanted)


def test_filters_are_those_of_the_table():
    def found(kind, member):
        return f"mvindex('responseObject.status.conditions{{}}.{member}',mvfind('responseObject.status.conditions{{}}.type',\"^{kind}$\"))"  # noqa: E501

    filters = {number: query.spl("main").split(" | ")[1:-3] for number, query, _ in NUMBERED}
    assert [number for number, steps in filters.items() if not steps] == [1, 2, 3]
    message = found("Succeeded", "message")
    assert filters[4] == [
        f'where {found("Succeeded", "reason")}="Running" AND like({message},"Tasks Completed: 0 %")'
    ]
    assert filters[5][0].startswith(
        f'where {found("Succeeded", "reason")}="Succeeded" AND {found("Succeeded", "status")}="True"'
        " AND isnotnull("
    )
    assert '"^CLAIR_SCAN_RESULT$"' in filters[5][0]
    ended, released = found("Succeeded", "reason"), found("Released", "reason")
    assert filters[6] == [f'where ({ended}="Completed" OR {ended}="Failed")']
    assert filters[7] == [f'where ({released}="Succeeded" OR {released}="Failed")']
    assert filters[8] == [
        f'where json_extract(\'{ANNOTATION}/status\',"pac.state")="enabled"',
        f"eval _one=json_extract('{ANNOTATION}/status',\"pac.merge-url\")",
        "sort 0 requestReceivedTimestamp",
        "dedup _one",
    ]


def test_a_fallback_among_fields_has_the_contracts_form():
    assert (
        "userId=if(isnull('impersonatedUser.username'),'user.username','impersonatedUser.username')"
        in QUERIES[0].spl("main")
    )


@pytest.mark.parametrize("index", ['a"b', "a\\b", "a | delete"])
def test_an_index_cannot_become_a_command(index):
    assert parse(QUERIES[0].spl(index)).indexes == (index,)


@pytest.mark.parametrize(("number", "query", "row"), NUMBERED)
def test_a_search_is_one_line_of_known_words(number, query, row):
    text = query.spl("main")
    assert "\n" not in text
    parse(text)
    outside = re.sub(r'"(?:\\.|[^"\\])*"|\'[^\']*\'', "", text)
    assert outside.count("(") == outside.count(")")
