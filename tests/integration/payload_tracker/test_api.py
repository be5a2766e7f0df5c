import itertools
import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from headrace.contracts.identity import Associate, Identity, encode_identity
from headrace.database.pool import Database
from headrace_services.payload_tracker.store import TrackerStore
from tests.answers import raw_answer, raw_status
from tests.identities import headers as headers_of
from tests.identities import odd, user
from tests.integration.payload_tracker.conftest import Client
from tests.integration.payload_tracker.test_store import row


def associate(*roles: str) -> dict[str, str]:
    identity = Identity(type="Associate", associate=Associate(Role=list(roles)))
    return {"x-rh-identity": encode_identity(identity)}


DOWNLOADER = associate("platform-archive-download")


async def test_a_payloads_statuses_are_newest_first_with_durations_and_without_empty_texts(
    store: TrackerStore, api: Client
) -> None:
    await store.record(
        [
            row("r1", 0, org_id="000001", status_msg="Payload received by ingress"),
            row("r1", 1.5, org_id="000001", status="success"),
            row("r1", 2, service="archiver", source="S3"),
        ]
    )
    answer = await api.get("/payloads/r1")
    assert answer.status == 200
    assert [item["date"] for item in answer.json["data"]] == [
        "2026-11-21T21:28:24Z",
        "2026-11-21T21:28:23.500000Z",
        "2026-11-21T21:28:22Z",
    ]
    first = answer.json["data"][2]
    assert {name: value for name, value in first.items() if name != "id"} == {
        "service": "ingress",
        "org_id": "000001",
        "request_id": "r1",
        "created_at": "2026-11-21T21:28:22.010000Z",
        "status": "received",
        "status_msg": "Payload received by ingress",
        "date": "2026-11-21T21:28:22Z",
    }
    assert answer.json["duration"] == {
        "archiver:S3": "00:00:00.000000",
        "ingress:undefined": "00:00:01.500000",
        "total_time_in_services": "00:00:01.500000",
        "total_time": "00:00:02.000000",
    }


@pytest.mark.parametrize(
    ("verbosity", "fields"),
    [(1, {"service", "status", "date", "status_msg"}), (2, {"service", "status", "date"})],
)
async def test_higher_verbosity_leaves_out_more(
    store: TrackerStore, api: Client, verbosity: int, fields: set[str]
) -> None:
    await store.record([row("r1", status_msg="m", org_id="1")])
    answer = await api.get(f"/payloads/r1?verbosity={verbosity}")
    assert set(answer.json["data"][0]) == fields


@pytest.mark.parametrize(
    "request_id",
    ["test-request-123", "vm/XOwWrEsfMz-000001", "a b?c#d%e", "ü", "x" * 1024, "a/archiveLink/b"],
)
async def test_ids_of_any_form_are_found_percent_encoded(
    store: TrackerStore, api: Client, request_id: str
) -> None:
    await store.record([row(request_id)])
    answer = await api.get(f"/payloads/{quote(request_id, safe='')}")
    assert (answer.status, answer.json["data"][0]["request_id"]) == (200, request_id)


async def test_an_id_with_slashes_is_found_unencoded_too(store: TrackerStore, api: Client) -> None:
    await store.record([row("vm/XOwWrEsfMz-000001")])
    for prefix in ("/api/v1", "/app/payload-tracker/api/v1"):
        answer = await api.get("/payloads/vm/XOwWrEsfMz-000001", prefix=prefix)
        assert answer.status == 200


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/payloads/unknown", 404, "payload with request id unknown not found"),
        ("/payloads/a%00b", 404, "not found"),
        ("/payloads/r1?verbosity=3", 400, "verbosity: got '3'"),
        ("/payloads/r1?sort_by=status", 400, "sort_by: got 'status'"),
        ("/payloads?page_size=0", 400, "page_size: got '0'"),
        ("/payloads?created_at_lt=soon", 400, "created_at_lt: got 'soon'"),
        ("/payloads?org_id=%00", 400, "org_id: must not contain a NUL"),
        ("/statuses?sort_dir=up", 400, "sort_dir: got 'up'"),
        ("/nowhere", 404, "Not Found"),
    ],
)
async def test_errors_have_upstreams_shape_and_name_what_was_wrong(
    api: Client, path: str, status: int, message: str
) -> None:
    answer = await api.get(path)
    assert answer.status == status
    assert set(answer.json) == {"title", "message", "status"}
    assert answer.json["status"] == status
    assert message in answer.json["message"]


async def test_the_listings_filter_and_count(store: TrackerStore, api: Client) -> None:
    await store.record([row(f"r{number}", number, org_id=str(number % 2)) for number in range(12)])
    answer = await api.get("/payloads?org_id=1&page_size=2&page=1&created_at_gte=2026-11-21T21:28:23Z")
    assert answer.json["count"] == 6
    assert [item["request_id"] for item in answer.json["data"]] == ["r7", "r5"]
    assert set(answer.json["data"][0]) == {
        "id", "request_id", "account", "inventory_id", "system_id", "created_at", "org_id"
    }  # fmt: skip
    assert answer.json["elapsed"] > 0
    answer = await api.get("/statuses?service=INGRESS&date_lt=2026-11-21T21:28:24Z&sort_by=date&sort_dir=asc")
    assert answer.json["count"] == 2
    assert [item["request_id"] for item in answer.json["data"]] == ["r0", "r1"]


async def test_all_statuses_are_newest_by_their_own_date_with_ids_that_are_texts(
    store: TrackerStore, api: Client
) -> None:
    # What is reported later may have happened earlier.
    late = replace(row("late", 1), created_at=row("x", 9).created_at)
    await store.record([late, row("new", 3), row("old", 0)])
    answer = await api.get("/statuses")
    assert [item["request_id"] for item in answer.json["data"]] == ["new", "late", "old"]
    assert all(re.fullmatch("[0-9]+", item["id"]) for item in answer.json["data"])
    assert isinstance((await api.get("/payloads/new")).json["data"][0]["id"], int)


async def test_an_upload_is_linked_to_for_the_role_only(api: Client) -> None:
    await api.uploads.put(api.settings.stage_bucket, "vm/r1", b"payload")
    path = "/payloads/vm%2Fr1/archiveLink"
    answer = await api.get(path, headers=DOWNLOADER)
    assert answer.status == 200
    async with aiohttp.ClientSession() as session, session.get(answer.json["url"]) as response:
        assert await response.read() == b"payload"
    assert (await api.get(path)).status == 401
    assert (await api.get(path, headers={"x-rh-identity": "nonsense!"})).status == 401
    assert (await api.get(path, headers=associate("other"))).status == 403
    assert (await api.get("/payloads/unknown/archiveLink", headers=DOWNLOADER)).status == 404


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (associate(), 403), (DOWNLOADER, 200)])
async def test_the_role_can_be_asked_for(api: Client, headers: dict[str, str], status: int) -> None:
    answer = await api.get("/roles/archiveLink", headers=headers)
    assert answer.status == status
    assert status != 200 or answer.json == {"allowed": True}


IDENTIFIED = pytest.mark.parametrize("api", [True], indirect=True)
PATHS = ("/payloads", "/statuses", "/payloads/r1", "/payloads/r1/kibanaLink")


def of_user(org_id: str) -> dict[str, str]:
    return {"x-rh-identity": user(org_id)}


@IDENTIFIED
@pytest.mark.parametrize("path", PATHS)
async def test_without_an_identity_nothing_is_shown(store: TrackerStore, api: Client, path: str) -> None:
    await store.record([row("r1", org_id="1001"), row("r1", 1)])
    for headers in ({}, {"x-rh-identity": ""}, {"x-rh-identity": "nonsense!"}):
        answer = await api.get(path, headers=headers)
        assert (answer.status, answer.json["title"]) == (401, "Unauthorized")


@pytest.mark.parametrize("api", [True, False], indirect=True)
async def test_no_identity_but_its_own_shows_an_organisations_payloads(
    store: TrackerStore, api: Client
) -> None:
    await store.record([row("r1", org_id="1001", status_msg="secret"), row("r1", 1, status_msg="secret")])
    cases = {"a stranger": headers_of(user("2002")), **odd("1001", "2002")}
    wrong = []
    for path, (what, headers) in itertools.product(PATHS, cases.items()):
        status, text = await raw_answer(api.url, f"/api/v1{path}", headers.items())
        shown = "secret" in text or '"1001"' in text or (status == 200 and '"count":0' not in text)
        if shown or status not in {200, 400, 401, 403, 404}:
            wrong.append((path, what, status, text))
    assert wrong == []


@pytest.mark.parametrize("api", [True, False], indirect=True)
async def test_two_organisations_with_one_request_id_see_their_own(store: TrackerStore, api: Client) -> None:
    await store.record([row("r1", number, org_id=org) for number, org in enumerate(("1001", "2002"))])
    for org in ("1001", "2002"):
        answer = await api.get("/payloads/r1", headers=of_user(org))
        assert [item["org_id"] for item in answer.json["data"]] == [org]
        for path in ("/payloads", "/statuses", "/payloads?org_id=" + org, "/payloads?org_id="):
            answer = await api.get(path, headers=of_user(org))
            assert (answer.json["count"], answer.json["data"][0]["org_id"]) == (1, org)
    answer = await api.get("/payloads?org_id=1001", headers=of_user("2002"))
    assert (answer.json["count"], answer.json["data"]) == (0, [])
    assert (await api.get("/payloads", headers=associate())).json["count"] == 2


@IDENTIFIED
async def test_a_role_in_a_users_identity_is_nobodys(api: Client) -> None:
    await api.uploads.put(api.settings.stage_bucket, "r1", b"payload")
    forged = {"x-rh-identity": user("1001", associate={"Role": ["platform-archive-download"]})}
    for path in ("/roles/archiveLink", "/payloads/r1/archiveLink"):
        assert (await api.get(path, headers=forged)).status == 403


async def test_an_associate_before_the_gateways_user_has_no_role(api: Client) -> None:
    for path in ("/roles/archiveLink", "/payloads/r1/archiveLink"):
        sent = [*DOWNLOADER.items(), *of_user("1001").items()]
        for headers in (sent, sent[::-1], [*DOWNLOADER.items()] * 2):
            assert await raw_status(api.url, f"/api/v1{path}", headers) == 401


@IDENTIFIED
@pytest.mark.parametrize(
    "path", ["/payloads/%ff", "/payloads?org_id=%ff", "/payloads?account=%00", "/payloads/%0a"]
)
async def test_bytes_that_are_no_text_are_no_fault_of_ours(api: Client, path: str) -> None:
    assert (await api.get(path, headers=of_user("1001"))).status in {200, 400, 404}


async def test_a_kibana_link_names_the_payload_and_the_service(store: TrackerStore, api: Client) -> None:
    await store.record([row("r1")])
    answer = await api.get("/payloads/r1/kibanaLink?service=ingress")
    assert answer.status == 200
    assert answer.json["url"].startswith("https://kibana.example.com/discover?_a=")
    assert "r1" in answer.json["url"]
    assert (await api.get("/payloads/unknown/kibanaLink")).status == 404


async def test_health_tells_whether_the_database_answers(
    tables: Database, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await api.get("/health", prefix="")).text == "OK"
    assert (await api.get("/", prefix="")).status == 200
    await tables.close()
    answer = await api.get("/health", prefix="")
    assert answer.status == 503
    assert "Retry-After" in answer.headers


async def test_the_openapi_document_describes_every_route(api: Client) -> None:
    document: Any = (await api.get("/openapi.json")).json
    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) == {
        "/openapi.json",
        "/headrace/payloads",
        "/headrace/payloads/{request_id}",
        "/payloads",
        "/payloads/{request_id}",
        "/payloads/{request_id}/archiveLink",
        "/payloads/{request_id}/kibanaLink",
        "/roles/archiveLink",
        "/statuses",
    }
