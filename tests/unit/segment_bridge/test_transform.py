"""Rows to events: the contract's tables, its measured edges, and the weak points that are done better."""

import json

import orjson
import pytest

from headrace_services.segment_bridge.map_files import ids_of
from headrace_services.segment_bridge.subjects import SUBJECTS, VERBS
from headrace_services.segment_bridge.transform import (
    MALFORMED,
    NO_OWNER,
    NO_RESULT,
    NO_USER,
    NO_WORKSPACE,
    Transform,
)

IDS = {"alice": "11", "bob": "22"}
WORKSPACES = {"alice-tenant": "alice", "nobody-tenant": "nobody"}
RESULT = {
    "messageId": "m-1", "timestamp": "2026-01-02T03:04:05.000006Z", "type": "track", "namespace": "alice-tenant",
    "userId": "bob", "event_verb": "create", "event_subject": "applications",
    "properties": '{"apiGroup":"appstudio.redhat.com","name":null}', "context": '{"userAgent":"oc"}',
}  # fmt: skip


def row(**changes):
    result = {name: value for name, value in (RESULT | changes).items() if value is not ...}
    return orjson.dumps({"preview": False, "offset": 0, "result": result})


def transformed(*lines, ids=IDS):
    letters = []
    work = Transform(ids, WORKSPACES, lambda line, reason: letters.append((line, reason)))
    return [orjson.loads(body) for _, _, body in work.events(lines)], dict(work.dropped), letters


def test_the_events_keys_and_their_order_are_the_contracts():
    events, dropped, _ = transformed(row())
    assert json.dumps(events[0]) == json.dumps(
        {
            "messageId": "m-1", "timestamp": "2026-01-02T03:04:05.000006Z", "namespace": "alice-tenant",
            "type": "track", "userId": "22", "event": "Application created",
            "properties": {"apiGroup": "appstudio.redhat.com", "name": None, "workspaceID": "11"},
            "context": {"userAgent": "oc"},
        }
    )  # fmt: skip
    assert dropped == {}


def test_without_a_user_the_owner_of_the_workspace_is_it():
    assert transformed(row(userId=...))[0][0]["userId"] == "11"
    assert transformed(row(userId=None))[0][0]["userId"] == "11"


def test_false_is_as_good_as_nothing_for_the_user_and_the_event():
    (event,), dropped, _ = transformed(row(userId=False, event=False))
    assert (event["userId"], event["event"], dropped) == ("11", "Application created", {})


def test_several_rows_on_a_line_are_as_many_events():
    line = row(messageId="a") + b" " + row(messageId="b") + row(messageId="c")
    events, dropped, letters = transformed(line, row(messageId="d"))
    assert [event["messageId"] for event in events] == ["a", "b", "c", "d"]
    assert (dropped, letters) == ({}, [])


def test_a_line_of_rows_and_something_else_is_kept_whole():
    line = row() + b" nonsense " + row()
    _, dropped, letters = transformed(line)
    assert (dropped, [kept for kept, _ in letters]) == ({MALFORMED: 1}, [line])


def test_a_user_who_is_not_in_the_map_is_not_replaced_by_the_owner():
    assert transformed(row(userId="mallory")) == ([], {NO_USER: 1}, [])


def test_a_workspace_id_that_is_there_is_overwritten_in_its_place():
    (event,), _, _ = transformed(row(properties='{"workspaceID":1,"z":2}'))
    assert list(event["properties"].items()) == [("workspaceID", "11"), ("z", 2)]


def test_an_event_of_the_row_wins_over_its_subject_and_verb():
    assert transformed(row(event="Release process done"))[0][0]["event"] == "Release process done"
    assert transformed(row(event="x", event_verb=..., event_subject=...))[0][0]["event"] == "x"


def test_the_tables_are_the_contracts():
    assert len(VERBS) == 9
    assert len(SUBJECTS) == 50
    for plural, name in {
        "componentdetectionqueries": "ComponentDetectionQuery", "memberstatuses": "MemberStatus",
        "enterprisecontractpolicies": "EnterpriseContractPolicy", "releasestrategies": "ReleaseStrategy",
        "spiaccesstokendataupdates": "SPIAccessTokenDataUpdate", "toolchainstatuses": "ToolChainStatus",
        "verificationpolicies": "VerificationPolicy", "nstemplatetiers": "NSTemplateTier",
        "bannedusers": "BannedUser", "usertiers": "UserTier",
    }.items():  # fmt: skip
        assert SUBJECTS[plural] == name
    assert all(plural == plural.lower() for plural in SUBJECTS)


@pytest.mark.parametrize(
    ("subject", "verb", "event"),
    [
        ("components", "deletecollection", "Component collection deleted"),
        ("taskruns", "head", "TaskRun headers fetched"),
        ("releases", "watch", "Release watch started"),
        ("components", "configure-pac", "Component configure-pac"),
        ("widgets", "get", "widgets fetched"),
        ("", "", " "),
    ],
)
def test_what_no_table_has_stays_raw(subject, verb, event):
    assert transformed(row(event_subject=subject, event_verb=verb))[0][0]["event"] == event


@pytest.mark.parametrize(
    ("line", "dropped"),
    [
        (b'{"preview":false,"lastrow":true}', NO_RESULT),
        (b'{"result":null}', NO_RESULT),
        (b'{"result":false}', NO_RESULT),
        (b'{"messages":[{"type":"INFO","text":"x"}]}', NO_RESULT),
        (row(namespace="kube-system"), NO_WORKSPACE),
        (row(namespace="nobody-tenant"), NO_OWNER),
        (b'{"result":{}}', MALFORMED),
        (b'{"result":[]}', MALFORMED),
        (b"[1]", MALFORMED),
        (row(namespace=None), MALFORMED),
        (row(properties=...), MALFORMED),
        (row(properties="{"), MALFORMED),
        (row(properties="[1]"), MALFORMED),
        (row(properties={"a": 1}), MALFORMED),
        (row(context=...), MALFORMED),
        (row(context="{"), MALFORMED),
        (row(context=["x"]), MALFORMED),
        (row(event_subject=...), MALFORMED),
        (row(event_verb=None), MALFORMED),
        (row(userId=7), MALFORMED),
        (row(properties="[" * 300 + "]" * 300), MALFORMED),
        (row(properties='{"a":' * 300 + "1" + "}" * 300), MALFORMED),
    ],
)
def test_a_row_that_cannot_become_an_event_is_dropped_for_its_reason_and_the_rest_goes_on(line, dropped):
    events, counts, letters = transformed(row(), line, row())
    assert len(events) == 2
    assert counts == {dropped: 1}
    assert [found for found, _ in letters] == ([line] if dropped == MALFORMED else [])


def test_null_properties_become_an_object_and_null_context_stays():
    (event,), _, _ = transformed(row(properties="null", context="null"))
    assert event["properties"] == {"workspaceID": "11"}
    assert event["context"] is None


def test_empty_texts_pass_and_missing_ones_are_null():
    (event,), _, _ = transformed(row(messageId="", timestamp=..., type=...))
    assert (event["messageId"], event["timestamp"], event["type"]) == ("", None, None)


def test_what_the_ledger_goes_by_comes_with_the_event():
    work = Transform(IDS, WORKSPACES)
    pull_request = row(event="Pull request created", properties='{"merge_url":"https://x/1"}')
    found = work.events(
        [row(), pull_request, row(properties='{"merge_url":"https://x/1"}'), row(messageId=None)]
    )
    assert [event[:2] for event in found] == [("m-1", ""), ("m-1", "https://x/1"), ("m-1", ""), ("", "")]


def test_blank_lines_are_no_rows():
    work = Transform(IDS, WORKSPACES)
    assert work.events([b"", b"  ", b"\r"]) == []
    assert work.rows == 0


# --- the weak points of upstream that are done better ---


def test_weak_point_ids_are_text_by_default_and_numbers_when_asked_for():
    text, numbers = (ids_of({"alice": 11, "bob": "22"}, "map", numeric=numeric) for numeric in (False, True))
    assert transformed(row(), ids=text)[0][0]["userId"] == "22"
    (event,), _, _ = transformed(row(), ids=numbers)
    assert (event["userId"], event["properties"]["workspaceID"]) == (22, 11)


def test_weak_point_long_ids_keep_their_digits():
    digits = "123456789012345678901234567890"
    for ids in ({"alice": digits, "bob": digits}, {"alice": int(digits), "bob": int(digits)}):
        for numeric, shown in ((False, f'"userId":"{digits}"'), (True, f'"userId":{digits},')):
            work = Transform(ids_of(ids, "map", numeric=numeric), WORKSPACES)
            ((_, _, body),) = work.events([row()])
            assert shown in body.decode()


def test_weak_point_ids_that_are_no_numbers_stay_text():
    ids = ids_of({"alice": "f:12:alice", "bob": "007"}, "map", numeric=True)
    (event,), _, _ = transformed(row(), ids=ids)
    assert (event["userId"], event["properties"]["workspaceID"]) == ("007", "f:12:alice")


def test_an_id_of_0_is_one():
    ids = ids_of({"alice": 0, "bob": 0}, "map", numeric=False)
    assert transformed(row(), ids=ids)[0][0]["userId"] == "0"


def test_weak_point_one_malformed_line_does_not_end_the_rest_of_the_run():
    events, counts, letters = transformed(row(), b'{"result":', row(messageId="m-2"))
    assert [event["messageId"] for event in events] == ["m-1", "m-2"]
    assert counts == {MALFORMED: 1}
    assert letters[0][0] == b'{"result":'
    assert letters[0][1].startswith("the line is not JSON: ")


def test_weak_point_drops_are_counted_and_add_up():
    lines = [row(), row(namespace="kube-system"), row(userId="mallory"), b"x", b'{"lastrow":true}']
    work = Transform(IDS, WORKSPACES)
    work.events(lines)
    assert dict(work.dropped) == {NO_WORKSPACE: 1, NO_USER: 1, MALFORMED: 1, NO_RESULT: 1}
    assert work.rows == len(lines) == work.made + work.dropped.total()


def test_many_different_contexts_are_not_all_remembered():
    work = Transform(IDS, WORKSPACES)
    lines = [row(context=f'{{"userAgent":"{number}"}}') for number in range(3000)]
    found = [orjson.loads(body)["context"]["userAgent"] for _, _, body in work.events(lines)]
    assert found == [str(number) for number in range(3000)]
    assert len(work._contexts) <= 1024
