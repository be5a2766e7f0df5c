"""What an accepted upload leaves in the store and on the topics."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from headrace.objects.store import PART_BYTES
from headrace.runtime.metrics import REGISTRY
from tests.conftest import S3Endpoint as Server
from tests.integration.ingress.harness import (
    CLUSTER_ID,
    FORM,
    ID_HEADER,
    IDENTITY,
    OLS,
    OPERATOR,
    UPLOAD,
    Ingress,
    b64_identity,
    form,
    new_id,
    open_ingress,
    part,
    pieces,
    value,
)
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = (
    "account category content_type metadata request_id principal org_id service size url b64_identity timestamp"
    " bucket object_key etag"
)
SMALL, LARGE = 1000, PART_BYTES + 70_000


async def test_an_announcement_says_all_that_consumers_read(ingress: Ingress):
    request_id, data = new_id(), b"some bytes"
    metadata = json.dumps({"fqdn": "h1", "custom_metadata": {"a": "<&>"}, "novel": 1})
    before = datetime.now(UTC)
    await ingress.post(
        part(data, content_type=f"{OLS}; x=y"), value("metadata", metadata), **{ID_HEADER: request_id}
    )
    (record,) = await ingress.announced(request_id)
    assert record.headers == (("service", b"ols"),)
    assert record.key is None
    found = json.loads(record.value)
    assert list(found) == KEYS.split()
    assert (
        found.items()
        >= {
            "account": "0000001",
            "category": "periodic",
            "content_type": f"{OLS}; x=y",
            "request_id": request_id,
            "principal": "000001",
            "org_id": "000001",
            "service": "ols",
            "size": len(data),
            "b64_identity": IDENTITY,
            "bucket": ingress.bucket,
            "object_key": request_id,
            "etag": hashlib.md5(data).hexdigest(),  # noqa: S324 -- what S3 calls it
        }.items()
    )
    assert (
        found["metadata"].items()
        >= {"fqdn": "h1", "custom_metadata": {"a": "<&>"}, "reporter": "ingress"}.items()
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", found["timestamp"])
    assert before - timedelta(seconds=1) < datetime.fromisoformat(found["timestamp"]) < datetime.now(UTC)


async def test_the_ros_documents_topic_gets_the_same_message(ingress: Ingress):
    answer = await ingress.post(part(b"abc"))
    (record,) = await ingress.announced(answer.request_id)
    copies = [each for each in await ingress.records.all(ingress.sources_topic) if each.value == record.value]
    assert [(copy.headers, copy.key) for copy in copies] == [(record.headers, record.key)]


@pytest.mark.parametrize(
    ("identity", "metadata", "key"),
    [
        (IDENTITY, "{}", None),
        (IDENTITY, '{"queue_key": "q/1"}', b"q/1"),
        (b64_identity(type="System", system={"cluster_id": CLUSTER_ID}), "{}", CLUSTER_ID.encode()),
        (b64_identity(type="System", system={"cluster_id": CLUSTER_ID}), '{"queue_key": "q"}', b"q"),
    ],
)
async def test_the_key_is_the_senders_or_its_clusters(
    ingress: Ingress, identity: str, metadata: str, key: bytes
):
    answer = await ingress.post(part(b"abc"), value("metadata", metadata), x_rh_identity=identity)
    (record,) = await ingress.announced(answer.request_id)
    assert record.key == key


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
async def test_the_url_gives_the_bytes_to_whoever_has_it(ingress: Ingress, size: int):
    data = b"x" * size
    answer = await ingress.upload(data)
    announcement = await ingress.announcement(answer.request_id)
    assert "X-Amz-Expires=86400" in announcement["url"]
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(announcement["url"], encoded=True)) as response,
    ):
        assert (response.status, await response.read()) == (200, data)
    stored = await ingress.store.head(ingress.bucket, answer.request_id)
    assert stored
    assert (stored.content_type, stored.metadata) == (
        "application/gzip",
        {"requestid": answer.request_id, "account": "0000001", "org": "000001"},
    )


async def test_statuses_say_received_then_success(ingress: Ingress):
    answer = await ingress.upload(b"abc")
    received, success = await ingress.statuses(answer.request_id)
    for status in (received, success):
        assert (status["service"], status["account"], status["org_id"]) == ("ingress", "0000001", "000001")
        assert status["date"].endswith("Z")
    assert (received["status"], received["status_msg"]) == ("received", "Payload received by ingress")
    assert (success["status"], success["status_msg"]) == ("success", "Sent to validation service: ols")
    assert received["date"] <= success["date"]
    assert [(status["size"], status["upload_service"]) for status in (received, success)] == [(3, "ols")] * 2


async def test_a_refused_upload_is_told_in_a_status(ingress: Ingress):
    answer = await ingress.upload(b"abc", content_type="application/vnd.redhat.unknown.x+tgz")
    assert answer.status == 415
    (status,) = await eventually(lambda: ingress.statuses(answer.request_id))
    assert (status["service"], status["source"], status["status"]) == ("ingress", "refused", "error")
    assert status["status_msg"].startswith("refused with 415: Unsupported service 'unknown'")
    assert status["org_id"] == "000001"


@pytest.mark.parametrize(
    ("parts", "query", "fqdn"),
    [
        ([value("metadata", '{"fqdn": "value"}')], "", "value"),
        ([part(b'{"fqdn": "file"}', name="metadata")], "", "file"),
        ([value("metadata", '{"fqdn": "value"}'), part(b'{"fqdn": "file"}', name="metadata")], "", "file"),
        ([], "?metadata=%7B%22fqdn%22:%20%22query%22%7D", "query"),
        ([value("metadata", '{"fqdn": "value"}')], "?metadata=%7B%22fqdn%22:%20%22query%22%7D", "query"),
        ([value("metadata", '{"fqdn": 7}')], "", None),
        ([value("metadata", "nonsense")], "", None),
    ],
)
async def test_metadata_may_come_in_three_ways(
    ingress: Ingress, parts: list[bytes], query: str, fqdn: str | None
):
    answer = await ingress.post(*parts, part(b"abc"), path=f"/api/ingress/v1/upload{query}")
    assert answer.status == 202
    metadata = (await ingress.announcement(answer.request_id))["metadata"]
    if fqdn is None:
        assert metadata == {"reporter": "", "stale_timestamp": "0001-01-01T00:00:00Z"}
    else:
        assert (metadata["fqdn"], metadata["reporter"]) == (fqdn, "ingress")


async def test_metrics_move_under_upstreams_names(ingress: Ingress):
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    def all_counts() -> list[float]:
        agent = {"useragent": "insights-operator"}
        return [
            counted("ingress_requests", **agent),
            counted("ingress_responses", **agent, code="202"),
            counted("ingress_payload_sizes_count", **agent),
            counted("ingress_stage_seconds_count"),
            counted("ingress_message_produced", service="ols"),
            counted("ingress_kafka_produced", topic=ingress.announce_topic),
            counted("ingress_publish_seconds_count", topic=ingress.announce_topic),
        ]

    before = all_counts()
    await ingress.post(part(b"abc"), User_Agent=OPERATOR)
    assert [after - was for after, was in zip(all_counts(), before, strict=True)] == [1.0] * 7
    assert REGISTRY.get_sample_value("ingress_uploads_in_flight") == 0
    assert REGISTRY.get_sample_value("ingress_buffered_bytes") == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def anywhere(kafka_url: str, s3_endpoint: Server) -> AsyncIterator[Ingress]:
    """On each S3 server in turn: sameness rests on how the server answers conditions."""
    async with open_ingress(kafka_url, s3_endpoint.url) as opened:
        yield opened


async def stored(ingress: Ingress, key: str) -> bytes:
    async with ingress.store.get(ingress.bucket, key) as chunks:
        return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
async def test_the_same_bytes_again_are_stored_once(anywhere: Ingress, size: int):
    request_id, data = new_id(), b"x" * size
    for _ in range(3):
        answer = await anywhere.upload(data, request_id)
        assert (answer.status, answer.json["request_id"]) == (202, request_id)
    assert await anywhere.objects(request_id) == [request_id]
    announced = [json.loads(record.value) for record in await anywhere.announced(request_id)]
    assert {(each["object_key"], each["size"]) for each in announced} == {(request_id, size)}
    assert request_id not in "".join(await anywhere.unfinished())


@pytest.mark.parametrize("in_parts_first", [True, False])
async def test_the_same_bytes_are_one_object_however_they_were_stored(
    anywhere: Ingress, *, in_parts_first: bool
):
    """With its length told a body is stored whole, without it in parts, under an ETag that cannot be compared."""
    request_id, body = new_id(), form(part(b"x" * LARGE))
    for in_parts in (in_parts_first, not in_parts_first):
        answer = await anywhere.request(
            "POST",
            UPLOAD,
            data=pieces(body) if in_parts else body,
            headers={"Content-Type": FORM, ID_HEADER: request_id},
        )
        assert answer.status == 202
    assert await anywhere.objects(request_id) == [request_id]
    announced = [json.loads(record.value) for record in await anywhere.announced(request_id)]
    assert [each["object_key"] for each in announced] == [request_id, request_id]
    assert request_id not in "".join(await anywhere.unfinished())


@pytest.mark.parametrize("sizes", [(SMALL, SMALL), (SMALL, LARGE), (LARGE, SMALL), (LARGE, LARGE)])
async def test_other_bytes_under_the_same_id_survive_beside_the_first(
    anywhere: Ingress, sizes: tuple[int, int]
):
    request_id = new_id()
    bodies = [b"a" * sizes[0], b"b" * sizes[1]]
    for body in [*bodies, *bodies]:
        assert (await anywhere.upload(body, request_id)).status == 202
    keys = await anywhere.objects(request_id)
    assert len(keys) == 2
    assert keys[0] == request_id
    assert {await stored(anywhere, key) for key in keys} == set(bodies)
    for record in await anywhere.announced(request_id):
        announcement = json.loads(record.value)
        body = await stored(anywhere, announcement["object_key"])
        assert (len(body), announcement["object_key"] in announcement["url"].replace("%7E", "~")) == (
            announcement["size"],
            True,
        )
    assert not [key for key in await anywhere.unfinished() if key.startswith(request_id)]


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
@pytest.mark.parametrize("same_bytes", [True, False])
async def test_another_organisations_upload_under_an_id_is_stored_apart_and_told_nothing(
    anywhere: Ingress, size: int, *, same_bytes: bool
):
    request_id = new_id()
    bodies = {"1001": b"a" * size, "2002": (b"a" if same_bytes else b"b") * size}
    for org_id in ("1001", "2002", "1001", "2002"):
        answer = await anywhere.post(
            part(bodies[org_id]), **{ID_HEADER: request_id, "x-rh-identity": b64_identity(org_id=org_id)}
        )
        assert answer.status == 202
    announced = [json.loads(record.value) for record in await anywhere.announced(request_id)]
    keys = {
        org_id: {each["object_key"] for each in announced if each["org_id"] == org_id} for org_id in bodies
    }
    assert keys["1001"] == {request_id}
    (theirs,) = keys["2002"]
    assert await anywhere.objects(request_id) == [request_id, theirs]
    assert await stored(anywhere, theirs) == bodies["2002"]
    notes = [
        (status["org_id"], "stored before" in status["status_msg"])
        for status in await anywhere.statuses(request_id)
        if status["status"] == "success"
    ]
    assert sorted(notes) == [("1001", False), ("1001", True), ("2002", False), ("2002", True)]


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_uploads_of_one_id_at_once_are_all_kept_or_told_to_try_again(anywhere: Ingress, size: int):
    request_id = new_id()
    bodies = [bytes([n]) * size for n in range(3)]
    answers = await asyncio.gather(*(anywhere.upload(body, request_id) for body in bodies * 2))
    assert {answer.status for answer in answers} <= {202, 503}
    accepted = {body for body, answer in zip(bodies * 2, answers, strict=True) if answer.status == 202}
    kept = {await stored(anywhere, key) for key in await anywhere.objects(request_id)}
    assert accepted <= kept <= set(bodies)
    for body in bodies:
        assert (await anywhere.upload(body, request_id)).status == 202
    assert {await stored(anywhere, key) for key in await anywhere.objects(request_id)} == set(bodies)
    assert not [key for key in await anywhere.unfinished() if key.startswith(request_id)]


@pytest.mark.parametrize("request_id", ["test-request-123", "vm/XOwWrEsfMz-000001", "a:b=c+d@e"])
async def test_ids_of_any_form_are_keys(anywhere: Ingress, request_id: str):
    answer = await anywhere.upload(b"abc", request_id)
    assert answer.status == 202
    announcement: dict[str, Any] = await anywhere.announcement(request_id)
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(announcement["url"], encoded=True)) as response,
    ):
        assert await response.read() == b"abc"
