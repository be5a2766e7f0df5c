"""The console on real engines: a payload's way, live updates, redrive, tenants, the end of streams."""

import asyncio
import gzip
import io
import re
import tarfile
import uuid
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from headrace.bus.dead_letters import show
from headrace.contracts.status import PayloadStatus
from headrace.contracts.topics import PAYLOAD_STATUS
from tests import identities
from tests.integration.console.conftest import Console
from tests.waiting import eventually

DLQ = "rosocp.kruize.recommendations.dlq"
HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m"


def archive() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("config/<b>id"), io.BytesIO())
    return gzip.compress(made.getvalue(), mtime=0)


def form(**fields: str) -> aiohttp.FormData:
    made = aiohttp.FormData()
    for name, text in fields.items():
        made.add_field(name, text)
    made.add_field("file", io.BytesIO(archive()), filename="<script>.tar.gz", content_type="application/gzip")
    return made


async def send(console: Console, topic: str, value: bytes, *, key: bytes = b"k", headers: Any = ()) -> Any:
    producer = AIOKafkaProducer(bootstrap_servers=console.engines.kafka)
    await producer.start()
    try:
        return await producer.send_and_wait(topic, value, key=key, headers=list(headers))
    finally:
        await producer.stop()


async def report(
    console: Console, request_id: str, org_id: str, message: str = "", status: str = "error"
) -> None:
    told = PayloadStatus(
        service="koku", request_id=request_id, org_id=org_id, status=status, status_msg=message,
        date="2026-11-30T12:00:00Z",
    )  # fmt: skip
    await send(console, PAYLOAD_STATUS.name, told.to_json(), key=request_id.encode())


async def shown(console: Console, path: str, text: str, **headers: str) -> str:
    async def look() -> str:
        _, page = await console.get(path, **headers)
        return page if text in page else ""

    found: str = await eventually(look, within_seconds=60, every_seconds=0.2, describe=f"{text!r} on {path}")
    return found


async def events(console: Console, topics: str, until: str, act: Any, **headers: str) -> str:
    """What a stream told from the moment it is open; `act` runs once it is read."""
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    url = f"{console.url}/console/events"
    told = ""
    async with console.session.get(url, params={"topics": topics}, headers=sent) as response:
        assert response.status == 200
        async with asyncio.timeout(60):
            while "event: reset" not in told:
                told += (await response.content.readany()).decode()
            await act()
            while until not in told:
                told += (await response.content.readany()).decode()
    return told


async def test_an_upload_is_followed_from_its_form_to_its_reasons(console: Console):
    status, where = await console.post("/upload", form(org="12345"))
    assert status == 303, where
    path = where.removeprefix("/console").partition("?")[0]
    request_id = path.rpartition("/")[2]
    page = await shown(console, path, "<strong>ingress</strong>")
    assert "Download" in page
    assert "config/&lt;b&gt;id" in page
    assert "archiver does not answer" in page
    assert "\u202e" not in page
    async with console.session.get(f"{console.url}/console/downloads/payload/{request_id}") as response:
        assert await response.read() == archive()
    # What comes later is told to the page that is open, with a text that nobody can trust.
    told = await events(
        console,
        f"payload:{request_id}",
        "event: status",
        lambda: report(console, request_id, "12345", HOSTILE),
    )
    assert re.search(r'id: \w+-\d+\nevent: status\ndata: {"service":"koku","status":"error"}', told)
    page = await shown(console, path, "<strong>koku</strong>")
    assert "<script>alert" not in page
    assert "\\u202e" in page
    page = await shown(console, f"/payloads?request_id={request_id}", request_id[:36])
    assert page.count('<tr id="p') == 1
    assert request_id not in (await console.get("/payloads?org=another"))[1]


async def test_a_refused_upload_shows_what_ingress_says(console: Console):
    status, page = await console.post("/upload", form(type="application/vnd.redhat.nobody.x+tgz"))
    assert status == 422
    assert "ingress answered 415" in page


async def test_a_dead_letter_is_found_shown_and_put_back_once(console: Console):
    request_id = uuid.uuid4().hex
    story = {
        "topic": DLQ.removesuffix(".dlq"), "partition": "0", "offset": "7", "attempts": "1", "service": "ros_poller",
        "group": "ros-ocp-poller", "error.class": "Poison", "reason": f"{HOSTILE} {request_id}",
    }  # fmt: skip
    headers = [(f"headrace.{name}", text.encode()) for name, text in story.items()]
    value = b'{"request_id": "%s"}' % request_id.encode()
    sent = await send(console, DLQ, value, headers=headers)
    place = f"{DLQ}/{sent.partition}/{sent.offset}"
    page = await shown(console, f"/dead-letters/{place}", request_id)
    assert "<script>alert" not in page
    await shown(console, "/dead-letters", "ros_poller")
    name = place.replace("/", ":")
    page = (await console.get(f"/redrive?letter={name}"))[1]
    assert "Redrive 1 dead letter" in page
    assert (await console.get("/dead-letters/unknown.dlq/0/0"))[0] == 404
    status, where = await console.post("/redrive", {"letter": name})
    assert (status, where) == (303, "/console/dead-letters?redriven=1")

    async def redriven():
        # A transaction is seen a moment after its commit was answered.
        letter = await show(console.engines, DLQ, sent.partition, sent.offset)
        assert letter is not None
        return letter.redriven

    await eventually(redriven, within_seconds=30)
    # Once more puts nothing back.
    assert (await console.post("/redrive", {"letter": name}))[1] == "/console/dead-letters?redriven=0"


async def test_the_flow_is_asked_for_while_an_overview_is_open(console: Console):
    page = (await console.get("/"))[1]
    assert "payload_tracker" in page
    told = await events(console, "flow", "event: flow", lambda: asyncio.sleep(0))
    assert "event: flow" in told
    page = await shown(console, "/topics/platform.payload-status", "Partitions")
    assert "never committed" in page or "payload_tracker" in page


@pytest.mark.parametrize("console", ["strict"], indirect=True)
async def test_a_second_organisation_sees_and_hears_nothing_of_the_first(console: Console):
    ours, theirs = identities.user("1001"), identities.user("2002")
    request_id, secret = uuid.uuid4().hex, f"secret-{uuid.uuid4().hex}"

    async def act() -> None:
        await report(console, request_id, "1001", secret)
        await report(console, f"{request_id}x", "2002", "end")

    told = await events(console, "payloads", "event: status", act, x_rh_identity=theirs)
    assert told.count("event: status") == 1
    for path in (f"/payloads/{request_id}", "/payloads", f"/payloads?request_id={request_id}"):
        assert secret in await shown(console, path, secret, x_rh_identity=ours)
        assert secret not in (await console.get(path, x_rh_identity=theirs))[1]
        assert (
            secret not in (await console.get(f"{path.partition('?')[0]}?org=1001", x_rh_identity=theirs))[1]
        )
    assert (await console.get(f"/payloads/{request_id}", x_rh_identity=theirs))[0] == 404
    assert (await console.get(f"/downloads/payload/{request_id}", x_rh_identity=theirs))[0] == 404
    for path in ("/topics", "/dead-letters", "/topics/platform.payload-status"):
        assert (await console.get(path, x_rh_identity=ours))[0] == 403
    assert (await console.get("/payloads"))[0] == 401


async def test_open_streams_do_not_hold_up_the_stop(console: Console):
    url = f"{console.url}/console/events?topics=payloads"
    responses = [await console.session.get(url) for _ in range(8)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    stop = console.host.contexts[0].stoppers[0]
    _, *texts = await asyncio.gather(stop(20.0), *(response.text() for response in responses))
    assert loop.time() - began < 2.0
    assert all("event: bye" in text for text in texts)
