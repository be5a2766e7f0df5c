"""Streams of events: bounded, resumable, each for its own viewers, and at an end when the service stops."""

import asyncio

import pytest

from headrace.web.errors import Refusal
from headrace_services.console.callers import Viewer
from headrace_services.console.events import BYE, FLOW, KEPT, QUEUE, RESET, STATUS, Client, Hub, Topics
from tests.unit.console.made import Sources, console

LOCAL = Viewer("local", "", "12345", is_operator=True)
TENANT = Viewer("user", "1", "1", is_operator=False, identity="x")


def client(topics="payloads", viewer=LOCAL):
    return Client(Topics.parse(topics), viewer)


def heard(of):
    found = []
    while not of.queue.empty():
        found.append(of.queue.get_nowait())
    return found


def names(of):
    return [event.name for event in heard(of)]


async def test_a_page_hears_of_what_it_shows():
    hub, one, many, flow = Hub(9), client("payload:a"), client(), client("flow")
    with hub.joined(one, ""), hub.joined(many, ""), hub.joined(flow, ""):
        hub.publish(STATUS, request_id="a", org_id="1")
        hub.publish(STATUS, request_id="b", org_id="1")
        hub.publish(FLOW)
        assert (names(one), names(many), names(flow)) == ([STATUS], [STATUS, STATUS], [FLOW])


async def test_a_tenant_hears_of_its_own_payloads_only():
    hub, ours = Hub(9), client(viewer=TENANT)
    theirs, curious = client(viewer=Viewer("u", "2", "2", is_operator=False)), client("flow", TENANT)
    with hub.joined(ours, ""), hub.joined(theirs, ""), hub.joined(curious, ""):
        hub.publish(STATUS, request_id="a", org_id="1")
        hub.publish(STATUS, request_id="a", org_id="")
        hub.publish(FLOW)
        assert (names(ours), names(theirs), names(curious)) == ([STATUS], [], [])


async def test_who_does_not_keep_up_is_told_to_read_anew():
    hub, slow = Hub(9), client()
    with hub.joined(slow, ""):
        for _ in range(QUEUE + 5):
            hub.publish(STATUS, request_id="a")
        assert names(slow) == [RESET, *[STATUS] * 4]


async def test_who_comes_back_gets_what_it_missed():
    hub = Hub(9)
    for number in range(5):
        hub.publish(STATUS, {"n": number}, request_id="a", org_id="1")
    back, theirs = client(), client(viewer=Viewer("u", "2", "2", is_operator=False))
    with hub.joined(back, f"{hub.boot}-3"), hub.joined(theirs, f"{hub.boot}-3"):
        assert [event.data for event in heard(back)] == [b'{"n":3}', b'{"n":4}']
        assert names(theirs) == []


@pytest.mark.parametrize("last", ["otherboot-3", "-", "x", "{boot}-x", "{boot}-" + "9" * 30])
async def test_an_id_of_another_process_means_reading_anew(last):
    hub, back = Hub(9), client()
    hub.publish(STATUS, request_id="a")
    with hub.joined(back, last.format(boot=hub.boot)):
        assert names(back) == [RESET]


async def test_what_is_not_kept_any_more_means_reading_anew():
    hub, back = Hub(9), client()
    for _ in range(KEPT + 9):
        hub.publish(STATUS, request_id="a")
    with hub.joined(back, f"{hub.boot}-2"):
        assert names(back) == [RESET]


async def test_streams_have_a_bound():
    hub = Hub(1)
    with (
        hub.joined(client(), ""),
        pytest.raises(Refusal, match="CONSOLE_MAX_STREAMS"),
        hub.joined(client(), ""),
    ):
        pass
    with hub.joined(client(), ""):
        assert hub.clients == 1


@pytest.mark.parametrize("text", ["", "payload:", "everything", "flow:x"])
def test_topics_that_nobody_knows_are_refused(text):
    with pytest.raises(Refusal, match="topics"):
        Topics.parse(text)


async def test_a_stream_is_what_browsers_read_and_ends_at_once_when_the_service_stops():
    async with console(Sources()) as made:
        async with made.session.get(made.url + "/console/events?topics=payloads") as response:
            assert (response.status, response.content_type) == (200, "text/event-stream")
            assert await response.content.readuntil(b"\n\n") == b"retry: 1000\n\n"
            made.hub.publish(STATUS, {"service": "koku"}, request_id="a")
            event = await response.content.readuntil(b"\n\n")
            assert event == b'id: %s-1\nevent: status\ndata: {"service":"koku"}\n\n' % made.hub.boot.encode()
            async with asyncio.timeout(1.0):
                await made.hub.stop()
                assert f"event: {BYE}".encode() in await response.content.read()
        status, page = await made.get("/console/events?topics=payloads")
        assert (status, "live updates" in page) == (503, True)
