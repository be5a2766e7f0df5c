import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from headrace.contracts.uploads import CONSUMERS
from headrace.database.pool import Database
from headrace.runtime.settings import load
from headrace_services.payload_tracker.models import columns
from headrace_services.payload_tracker.settings import TrackerSettings
from headrace_services.payload_tracker.states import States
from headrace_services.payload_tracker.store import TrackerStore
from tests.answers import raw_answer
from tests.identities import odd, user
from tests.integration.payload_tracker.conftest import Client
from tests.integration.payload_tracker.test_api import associate
from tests.integration.payload_tracker.test_store import HISTORY, NOW, row

LIST = "/headrace/payloads"


@pytest.fixture
async def states(tables: Database) -> States:
    states = States(tables)
    await states.expect(CONSUMERS)
    return states


def accepted(request_id: str = "r1", seconds: float = 0, **fields: Any) -> list[Any]:
    """What ingress says of an upload for hccm."""
    told = {"org_id": "1001", "upload_service": "hccm", "size_bytes": 17} | fields
    return [
        row(request_id, seconds, **told),
        row(
            request_id, seconds + 0.1, status="success", status_msg="Sent to validation service: hccm", **told
        ),
    ]


def ended(service: str, status: str = "success", seconds: float = 2, **fields: Any) -> list[Any]:
    told = {"org_id": "1001", "service": service} | fields
    return [row(seconds=seconds, **told), row(seconds=seconds + 1, status=status, **told)]


async def listed(api: Client, query: str = "", **more: Any) -> list[dict[str, Any]]:
    answer = await api.get(f"{LIST}?{query}", **more)
    assert answer.status == 200, answer
    return answer.json["data"]


async def test_a_payload_is_in_progress_until_every_expected_consumer_has_ended(
    states: States, store: TrackerStore, api: Client
):
    seen = []
    for told in (accepted(), ended("koku"), ended("archiver")[:1], ended("archiver")):
        await store.record(told)
        (payload,) = await listed(api)
        seen.append((payload["state"], payload["silent"]))
    assert seen == [
        ("in_progress", ["archiver", "koku"]),
        ("in_progress", ["archiver"]),
        ("in_progress", []),
        ("done", []),
    ]
    assert (payload["size"], payload["upload_service"], payload["refused"]) == (17, "hccm", False)
    assert [(item["service"], item["status"]) for item in payload["services"]] == [
        ("ingress", "success"), ("koku", "success"), ("archiver", "success"),
    ]  # fmt: skip
    # Its chain goes on: what begins later is awaited, too.
    await store.record(ended("ros-processor", seconds=9)[:1])
    assert (await listed(api))[0]["state"] == "in_progress"


async def test_an_expected_consumer_that_says_nothing_for_half_a_minute_is_silent(
    tables: Database, states: States, store: TrackerStore, api: Client
):
    await store.record(accepted() + ended("koku"))
    await tables.execute("update payloads set state_since = now() - interval '31 s'")
    (payload,) = await listed(api, "state=silent")
    assert (payload["state"], payload["silent"]) == ("silent", ["archiver"])
    assert await listed(api, "state=in_progress") == []


async def test_an_error_is_the_reason_until_the_service_ends_well(
    states: States, store: TrackerStore, api: Client
):
    await store.record(accepted() + ended("koku", "error", status_msg="no manifest.json") + ended("archiver"))
    (payload,) = await listed(api, "state=failed")
    assert (payload["state"], payload["reason_service"], payload["reason"]) == (
        "failed", "koku", "no manifest.json",
    )  # fmt: skip
    await store.record(ended("koku", seconds=5, status_msg="redriven"))
    (payload,) = await listed(api, "state=done")
    assert payload["reason"] == "redriven"


async def test_a_refused_upload_is_a_failed_payload_unless_the_next_attempt_is_accepted(
    states: States, store: TrackerStore, api: Client
):
    refused = row(org_id="1001", source="refused", status="error", status_msg="refused with 429: busy")
    await store.record([refused])
    for query in ("refused=true", "state=failed", "state=failed&refused=true"):
        (payload,) = await listed(api, query)
        assert (payload["state"], payload["refused"], payload["reason"]) == (
            "failed", True, "refused with 429: busy",
        )  # fmt: skip
    assert await listed(api, "refused=false") == []
    await store.record(accepted(seconds=1))
    (payload,) = await listed(api, "refused=false")
    assert (payload["state"], payload["refused"]) == ("in_progress", False)
    assert await listed(api, "refused=true") == []


@pytest.mark.parametrize("seed", range(3))
async def test_the_state_depends_on_no_order_of_statuses(
    tables: Database, states: States, store: TrackerStore, seed: int
):
    told = [*HISTORY, *accepted(), *ended("koku", "error"), *ended("koku", seconds=8), *ended("archiver")]
    await store.record(told)
    query = "select request_id, org_id, state, size_bytes, upload_service from payloads order by 1, 2"
    expected = [tuple(item) for item in await tables.fetch(query)]
    assert ("r1", "1001", "done", 17, "hccm") in expected
    await tables.execute("truncate payloads, payload_statuses")
    generator = random.Random(seed)
    generator.shuffle(told)
    while told:
        count = generator.randint(1, 4)
        await store.record(told[:count])
        del told[:count]
    assert [tuple(item) for item in await tables.fetch(query)] == expected


async def test_payloads_of_the_release_before_get_a_state(
    tables: Database, states: States, store: TrackerStore, api: Client
):
    # As that release calls it.
    arguments = columns([replace(one, size_bytes=None, upload_service="") for one in accepted("new")])[:-2]
    await tables.execute("select record_statuses($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", *arguments)
    await store.record(accepted("old") + ended("koku", "error", request_id="old"))
    await tables.execute("update payloads set state = null, state_since = null where request_id = 'old'")
    assert {item["request_id"]: item["state"] for item in await listed(api)} == {
        "old": "in_progress", "new": "done",
    }  # fmt: skip
    assert (await states.settle(), await states.settle()) == (1, 0)
    assert [item["request_id"] for item in await listed(api, "state=failed")] == ["old"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["b2", "b1", "a3", "a2", "a1"]),
        ("request_id=a", ["a3", "a2", "a1"]),
        ("request_id=a%25", []),
        ("org_id=2002", ["b2", "b1"]),
        ("cluster=c-1", ["a2"]),
        ("service=koku", ["a1"]),
        ("service=nobody", []),
        ("upload_service=openshift", ["b1"]),
        ("state=failed", ["a1"]),
        ("state=done&org_id=2002", ["b2"]),
        ("created_since=2026-11-21T21:28:42Z", ["b2", "b1", "a3"]),
        ("created_before=2026-11-21T21:28:33Z", ["a2", "a1"]),
        ("created_since=2026-11-21T21:28:30Z&request_id=a&state=in_progress", ["a3", "a2"]),
    ],
)
async def test_filters_find_what_they_ask_for_newest_first(
    states: States, store: TrackerStore, api: Client, query: str, expected: list[str]
):
    await store.record(
        [
            *accepted("a1", 0), *ended("koku", "error", request_id="a1"),
            *accepted("a2", 10, system_id="c-1"),
            *accepted("a3", 20),
            *accepted("b1", 30, org_id="2002", upload_service="openshift"),
            *accepted("b2", 40, org_id="2002", upload_service="advisor"),
        ]
    )  # fmt: skip
    assert [item["request_id"] for item in await listed(api, query)] == expected


@pytest.mark.parametrize("query", ["", "request_id=r&", "service=ingress&", "state=in_progress&"])
async def test_pages_neither_overlap_nor_miss_a_payload(
    states: States, store: TrackerStore, api: Client, query: str
):
    # Many of one moment.
    await store.record([one for n in range(25) for one in accepted(f"r{n:02}", n // 10)])
    seen, cursor = [], ""
    while True:
        answer = await api.get(f"{LIST}?{query}limit=7&cursor={cursor}")
        seen += [item["request_id"] for item in answer.json["data"]]
        cursor = answer.json["next"]
        if cursor is None:
            break
    assert sorted(seen, reverse=True) == [f"r{n:02}" for n in reversed(range(25))]
    assert len(seen) == 25


@pytest.mark.parametrize("query", ["state=gone", "limit=0", "limit=101", "cursor=x", "created_since=soon"])
async def test_a_parameter_that_cannot_be_read_is_named(states: States, api: Client, query: str):
    answer = await api.get(f"{LIST}?{query}")
    assert answer.status == 400
    assert answer.json["message"].startswith(query.partition("=")[0])


async def test_one_payload_is_told_status_by_status_and_of_many_the_first_and_the_newest(
    states: States, store: TrackerStore, api: Client
):
    await store.record(accepted("many/of it") + [row("many/of it", n, org_id="1001") for n in range(1, 600)])
    answer = await api.get(f"{LIST}/many%2Fof%20it")
    statuses = answer.json["statuses"]
    assert (len(statuses), answer.json["statuses_left_out"]) == (500, 101)
    assert statuses == sorted(statuses, key=lambda item: datetime.fromisoformat(item["date"]))
    assert statuses[0]["reason"] == ""
    assert statuses[-1]["date"] == (NOW + timedelta(seconds=599)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [item["state"] for item in answer.json["payloads"]] == ["in_progress"]
    assert {item["org_id"] for item in statuses} == {"1001"}
    assert (await api.get(f"{LIST}/nobody's")).status == 404


@pytest.mark.parametrize("api", [True, False], indirect=True)
async def test_no_organisation_sees_what_became_of_anothers_payloads(
    states: States, store: TrackerStore, api: Client
):
    secret: dict[str, Any] = {"status_msg": "secret", "system_id": "secret"}
    own = [*accepted(system_id="secret"), row("r1", 1, org_id="1001", service="koku", **secret)]
    await store.record([*own, row("r1", 1, **secret), *accepted("r1", 9, org_id="2002")])
    strangers = {"a stranger": {"x-rh-identity": user("3003")}, **odd("1001", "3003")}
    for headers in strangers.values():
        for path in (
            LIST,
            f"{LIST}?org_id=1001",
            f"{LIST}?request_id=r",
            f"{LIST}?cluster=secret",
            f"{LIST}/r1",
        ):
            status, text = await raw_answer(api.url, f"/api/v1{path}", headers.items())
            assert status in {200, 400, 401, 403, 404}
            assert "secret" not in text
            assert '"1001"' not in text
    for org_id in ("1001", "2002"):
        headers = {"x-rh-identity": user(org_id)}
        assert {item["org_id"] for item in await listed(api, headers=headers)} == {org_id}
        answer = await api.get(f"{LIST}/r1", headers=headers)
        assert [item["org_id"] for item in answer.json["payloads"]] == [org_id]
        assert {item["org_id"] for item in answer.json["statuses"]} == {org_id}
    # Of two organisations with one id nobody can tell whose a status without one is; who may see all, sees it.
    answer = await api.get(f"{LIST}/r1", headers=associate())
    assert {item["org_id"] for item in answer.json["statuses"]} == {"1001", "2002", ""}
    assert len(await listed(api, headers=associate())) == 3


@pytest.mark.parametrize("api", [True], indirect=True)
async def test_what_became_of_payloads_is_told_to_nobody_without_an_identity(
    states: States, store: TrackerStore, api: Client
):
    await store.record(accepted())
    for path in (LIST, f"{LIST}/r1"):
        assert (await api.get(path)).status == 401


def test_a_consumer_that_is_not_there_is_not_expected(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PAYLOAD_TRACKER_ABSENT_CONSUMERS", '["rules_engine", "koku"]')
    expected = load(TrackerSettings).expected
    assert expected["openshift"] == expected["hccm"] == {"archiver"}
