"""Ingress as its settings make it: lenient, without authentication, with a token table, on files, with a tracker."""

import asyncio
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from headrace.contracts.identity import decode_identity
from headrace.runtime.errors import ConfigurationError
from tests.integration.ingress.harness import (
    CLUSTER_ID,
    FORM,
    ID_HEADER,
    IDENTITY,
    OPERATOR,
    PREFIXES,
    UPLOAD,
    Answer,
    Ingress,
    b64_identity,
    form,
    hang_up,
    new_id,
    open_ingress,
    part,
    request_head,
    serving_tracker,
)
from tests.proxy import TcpProxy
from tests.waiting import eventually

ROS_IDENTITY = "eyJpZGVudGl0eSI6eyJhY2NvdW50X251bWJlciI6IjEyMzQ1IiwiaW50ZXJuYWwiOnsib3JnX2lkIjoiMTIzNDUifX19"


async def test_a_lenient_ingress_takes_the_documents_curls(kafka_url: str, s3_url: str):
    async with open_ingress(kafka_url, s3_url, lenient=True) as ingress:
        for _ in range(2):
            answer = await ingress.post(
                part(b"abc", content_type="application/octet-stream"),
                x_rh_identity=ROS_IDENTITY,
                x_rh_request_id="test-request-123",
            )
            assert (answer.status, answer.json["request_id"]) == (202, "test-request-123")
        found = [json.loads(record.value) for record in await ingress.announced("test-request-123")]
        assert {(each["service"], each["category"], each["org_id"]) for each in found} == {
            ("hccm", "upload", "12345")
        }
        answer = await ingress.post(part(b"a,b\n1,2\n", filename="usage.csv", content_type="text/csv"))
        assert answer.status == 202
        answer = await ingress.post(
            part(b"abc"), x_rh_identity="", Authorization="Bearer any", User_Agent=OPERATOR
        )
        announcement = await ingress.announcement(answer.request_id)
        identity = decode_identity(announcement["b64_identity"])
        assert (answer.status, identity.org_id, identity.cluster_id) == (202, "12345", CLUSTER_ID)
        (record,) = await ingress.announced(answer.request_id)
        assert record.key == CLUSTER_ID.encode()


async def test_without_auth_nobody_needs_an_identity_and_there_is_no_track(kafka_url: str, s3_url: str):
    async with open_ingress(kafka_url, s3_url, AUTH="false") as ingress:
        for header in ("", IDENTITY):
            answer = await ingress.post(part(b"abc"), x_rh_identity=header)
            assert (answer.status, answer.json["upload"]) == (202, {})
            found = await ingress.announcement(answer.request_id)
            assert (found["account"], found["org_id"], found["b64_identity"]) == ("", "", header)
        assert (await ingress.get(f"{PREFIXES[0]}/track/{new_id()}")).status == 404
        assert (await ingress.get(PREFIXES[0], **{"x-rh-identity": ""})).text == "lubdub"
        body = form(part(b"abc"))
        head = request_head(request_id := new_id(), f"Content-Length: {len(body)}")
        head = head.replace(IDENTITY.encode(), b"\xff\xfe")
        assert (await ingress.raw(head, body)).status == 202
        assert (await ingress.announcement(request_id))["b64_identity"] == ""


async def test_a_token_of_the_table_is_its_organisation(kafka_url: str, s3_url: str):
    tokens = {hashlib.sha256(b"secret").hexdigest(): {"org_id": "42", "account_number": "4242"}}
    async with open_ingress(
        kafka_url, s3_url, TOKENS=json.dumps(tokens), KAFKASOURCESTOPIC="none"
    ) as ingress:
        for token, status in (("secret", 202), ("other", 401)):
            answer = await ingress.post(
                part(b"abc"), x_rh_identity="", Authorization=f"Bearer {token}", User_Agent=OPERATOR
            )
            assert answer.status == status
            if status == 202:
                assert answer.json["upload"] == {"account_number": "4242", "org_id": "42"}
                assert (await ingress.announcement(answer.request_id))["org_id"] == "42"
        assert not await ingress.records.all(ingress.sources_topic)


@pytest.mark.parametrize("size", [0, 100, 6_000_000])
async def test_files_in_a_directory_instead_of_s3(kafka_url: str, s3_url: str, tmp_path: Path, size: int):
    base = "http://ingress.example:3000/"
    async with open_ingress(
        kafka_url,
        s3_url,
        STAGERIMPLEMENTATION="filebased",
        STORAGEFILESYSTEMPATH=str(tmp_path),
        SERVICEBASEURL=base,
    ) as ingress:
        request_id = "vm/a.b-1"
        for data in (b"x" * size, b"x" * size, b"other"):
            answer = await ingress.upload(data, request_id)
            assert answer.status == 202
            announcement = json.loads((await ingress.announced(request_id))[-1].value)
            assert announcement["url"].startswith(base + "download/vm/a.b-1")
            assert not {"bucket", "object_key"} & announcement.keys()
        announced = [json.loads(record.value) for record in await ingress.announced(request_id)]
        for found, data in zip(announced, (b"x" * size, b"x" * size, b"other"), strict=True):
            answer = await ingress.get("/" + found["url"].removeprefix(base))
            assert (answer.status, answer.body) == (200, data)
            assert answer.headers["Content-Type"] == "application/gzip"
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="vm_a.b-1')
        answer = await ingress.get("/download/vm/a.b-1", Range="bytes=0-0")
        assert answer.status == (206 if size else 416)
        for path, status in (
            ("/download/nothing", 404), ("/download/vmab1", 404), ("/download/...", 400), ("/download/%2e%2e%2f", 400),
            ("/download/..%2f..%2fetc%2fpasswd", 404), ("/download/%00a", 404), ("/download/", 404),
        ):  # fmt: skip
            assert (await ingress.get(path)).status == status, path
        refused = await ingress.request(
            "POST", UPLOAD, data=form(part(b"y" * 300_000))[:-9], headers={"Content-Type": FORM}
        )
        assert refused.status == 400
        assert len(names := os.listdir(tmp_path)) == 2  # noqa: PTH208
        assert not [name for name in names if name.startswith(".")]


@pytest.mark.parametrize("attributes", [True, False])
async def test_another_organisations_file_under_an_id_is_stored_apart(
    kafka_url: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, attributes: bool
):
    if not attributes:
        monkeypatch.setattr("headrace_services.ingress.store._OWNER_ATTRIBUTE", "no such namespace")
    async with open_ingress(
        kafka_url, s3_url, STAGERIMPLEMENTATION="filebased", STORAGEFILESYSTEMPATH=str(tmp_path)
    ) as ingress:
        request_id = new_id()
        for org_id in ("1001", "2002", "1001", "2002"):
            answer = await ingress.post(
                part(b"same"), **{ID_HEADER: request_id, "x-rh-identity": b64_identity(org_id=org_id)}
            )
            assert answer.status == 202
        announced = [json.loads(record.value) for record in await ingress.announced(request_id)]
    urls = {org: {each["url"] for each in announced if each["org_id"] == org} for org in ("1001", "2002")}
    assert not urls["1001"] & urls["2002"]
    assert len(urls["2002"]) == 1
    assert len(urls["1001"]) == (1 if attributes else 2)


async def test_a_directory_that_vanishes_is_503(kafka_url: str, s3_url: str, tmp_path: Path):
    directory = tmp_path / "staging"
    directory.mkdir()
    async with open_ingress(
        kafka_url, s3_url, STAGERIMPLEMENTATION="filebased", STORAGEFILESYSTEMPATH=str(directory)
    ) as ingress:
        directory.rmdir()
        for size in (100, 300_000):
            answer = await ingress.upload(b"x" * size)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert not await ingress.announced(answer.request_id)


async def test_a_staging_directory_that_is_not_there_stops_the_start(kafka_url: str, s3_url: str):
    with pytest.raises(ConfigurationError, match="INGRESS_STORAGEFILESYSTEMPATH: got '/nowhere'"):
        async with open_ingress(
            kafka_url, s3_url, STAGERIMPLEMENTATION="filebased", STORAGEFILESYSTEMPATH="/nowhere"
        ):
            pass


async def test_track_tells_only_whom_it_concerns(kafka_url: str, s3_url: str):
    row = {
        "id": 7, "service": "ingress", "org_id": "000001", "request_id": "r", "status": "success",
        "status_msg": "Sent", "date": "2026-11-21", "inventory_id": "",
    }  # fmt: skip
    theirs = row | {"org_id": "2", "status_msg": "theirs"}
    both = json.dumps({"data": [theirs, row], "duration": {"total_time": "00:00:01"}}).encode()
    whole = json.dumps({"data": [row], "duration": {"total_time": "00:00:01"}}).encode()
    ids = [new_id(), "11111111-2222-3333-4444-555555555555", "test-request-123", "vm/a-1"]
    answers: dict[str, tuple[int, bytes]] = dict.fromkeys(ids, (200, whole))
    answers |= {
        "empty": (200, b'{"data":[]}'),
        "list": (200, b"[]"),
        "html": (200, b"<html>"),
        "broken": (500, b"x"),
        "refused": (401, b"{}"),
        "both": (200, both),
    }
    async with serving_tracker(answers) as address, TcpProxy.open(address) as proxy:
        variables: dict[str, Any] = {
            "PAYLOADTRACKERURL": f"http://{proxy.address}/api/v1/payloads/",
            "HTTPCLIENTTIMEOUT": "0.3",
        }
        async with open_ingress(kafka_url, s3_url, **variables) as ingress:

            async def track(request_id: str, query: str = "", **identity: Any) -> Answer:
                path = f"{PREFIXES[1]}/track/{request_id}{query}"
                return await ingress.get(path, **{"x-rh-identity": b64_identity(**identity)})

            for request_id in ids:
                answer = await track(request_id)
                assert answer.status == 200
                assert answer.json == {
                    name: row[name] for name in ("status_msg", "date", "service", "status")
                }
            for query in ("?verbosity=1", "?verbosity=x", "?verbosity=-5", "?verbosity="):
                assert "org_id" not in (await track(ids[0], query)).json
            assert (await track(ids[0], "?verbosity=2")).json == json.loads(whole)
            assert (await track(ids[0], org_id="2")).status == 403
            assert (await track(ids[0], org_id="2", type="Associate")).status == 200
            assert (await track(ids[0], org_id=None, account_number=None, type="X509")).status == 403
            # Of a tracker that shows two organisations' statuses under an id, each gets its own.
            assert (await track("both", "?verbosity=2")).json == {"data": [row]}
            assert (await track("both", "?verbosity=2", org_id="2")).json == {"data": [theirs]}
            assert (await track("both", org_id="2")).json["status_msg"] == "theirs"
            assert (await track("both", org_id="02")).status == 403
            assert (await track("refused")).status == 500
            assert (await track("../secret")).status in {400, 404}
            assert (await track("a%2f%2e%2e%2fb")).status == 400
            for request_id, status in (
                ("unknown", 404),
                ("empty", 404),
                ("list", 404),
                ("html", 500),
                ("broken", 500),
            ):
                assert (await track(request_id)).status == status, request_id
            proxy.up.hang = True
            assert (await track(ids[0])).status == 500
            proxy.up.hang = False
            await proxy.refuse()
            assert (await track(ids[0])).status == 500
            await proxy.restore()
            assert (await track(ids[0])).status == 200


async def test_readiness_names_a_missing_bucket(kafka_url: str, s3_url: str, monkeypatch):
    monkeypatch.setattr("headrace.service.shared._PING_EVERY_SECONDS", 0.05)
    async with open_ingress(kafka_url, s3_url) as ingress:
        health = ingress.host.contexts[0].health
        await eventually(lambda: not health.problems)
        async with ingress.store._control("delete the bucket") as client:
            await client.delete_bucket(Bucket=ingress.bucket)
        await eventually(lambda: ingress.bucket in health.problems.get("s3", ""))
        assert (await ingress.upload(b"abc")).status in {202, 503}
        await ingress.store.ensure_bucket(ingress.bucket)
        await eventually(lambda: not health.problems)


@pytest.mark.row(1)
async def test_what_a_killed_process_left_half_done_is_swept(kafka_url: str, s3_url: str, monkeypatch):
    monkeypatch.setattr("headrace_services.ingress.app._SWEEP_EVERY_SECONDS", 0.05)
    async with open_ingress(kafka_url, s3_url) as ingress:
        await ingress.store.start_multipart(ingress.bucket, "left")
        await asyncio.sleep(0.2)
        assert await ingress.unfinished() == ["left"]
        monkeypatch.setattr("headrace_services.ingress.store._STALE_UPLOAD_SECONDS", -1.0)
        await eventually(lambda: _none(ingress))


async def _none(ingress: Ingress) -> bool:
    return not await ingress.unfinished()


@pytest.mark.row(27)
async def test_requests_in_flight_are_finished_when_the_service_stops(kafka_url: str, s3_url: str):
    request_id = new_id()
    async with open_ingress(kafka_url, s3_url) as ingress:
        body = form(part(b"x" * 200_000))
        head = request_head(request_id, f"Content-Length: {len(body)}", f"{ID_HEADER}-x: y")
        reader, writer = await asyncio.open_connection(*ingress.address)
        writer.write(head + body[:100_000])
        await writer.drain()
        listener = ingress.host.contexts[0].listeners[0]
        await eventually(lambda: listener._in_flight._count)
        stopping = asyncio.create_task(listener.close())
        await eventually(lambda: listener._in_flight._closing)
        writer.write(body[100_000:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
        await hang_up(writer)
        await stopping
        assert len(await ingress.announced(request_id)) == 1
