"""`status` and `urls` from what a stack wrote of itself."""

import socket

from aiohttp import web
from aiohttp.test_utils import TestServer

from headrace.laptop.status import PartStatus, part_rows, statuses, urls
from headrace.runtime.health import Health
from headrace.web.admin import admin_app


def run_of(health_url="", *, kafka="ready"):
    engine = {"credentials": {}, "address": "a", "url": "u", "product": "p", "version": "1", "restarts": 0}
    return {
        "engines": [
            engine | {"name": "kafka", "state": kafka},
            engine
            | {"name": "s3", "state": "given", "restarts": 2, "credentials": {"key": "k", "secret": "s"}},
        ],
        "services": {"ingress": {"url": "http://i", "health": "http://i/"}},
        "admin": {"health": health_url},
    }


async def status_of(healths, **run):
    async with TestServer(admin_app(healths)) as server:
        return await statuses(run_of(str(server.make_url("/health")), **run))


async def test_status_tells_each_engine_and_each_service():
    parts = await status_of({"ingress": Health()})
    assert parts == [
        PartStatus("kafka", "ready"),
        PartStatus("s3", "given", "restarted 2 times"),
        PartStatus("ingress", "well"),
    ]
    assert all(part.is_well for part in parts)


async def test_status_names_what_is_wrong():
    ill = Health()
    ill.add("postgres", lambda: "does not answer")
    ill.add("s3", lambda: None)
    parts = await status_of({"ingress": Health(), "archiver": ill}, kafka="restarting")
    assert [part.part for part in parts if not part.is_well] == ["kafka", "archiver"]
    assert parts[-1].detail == "postgres: does not answer"


async def test_what_was_never_well_just_after_the_start_is_starting_not_failed(monkeypatch):
    reasons = {"kruize": "the connection is refused"}
    health = Health({"kruize": lambda: reasons["kruize"]})
    assert (await status_of({"ros_processor": health}))[-1].state == "starting"
    reasons["kruize"] = None
    assert (await status_of({"ros_processor": health}))[-1].state == "well"
    reasons["kruize"] = "the connection is refused"
    assert (await status_of({"ros_processor": health}))[-1].state == "failed"


async def test_what_is_not_well_a_minute_after_the_start_has_failed(monkeypatch):
    health = Health({"kruize": lambda: "the connection is refused"})
    monkeypatch.setattr("headrace.runtime.health.STARTING_SECONDS", 0.0)
    assert (await status_of({"ros_processor": health}))[-1].state == "failed"


async def test_status_of_services_that_do_not_answer_is_failed():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/health"
    assert [(part.part, part.state) for part in await statuses(run_of(url))][-1] == ("services", "failed")


async def test_status_of_an_answer_that_is_no_health_report_is_failed():
    async with TestServer(web.Application()) as server:
        parts = await statuses(run_of(str(server.make_url("/"))))
    assert [(part.part, part.state) for part in parts][-1] == ("services", "failed")


async def test_status_before_the_services_started_is_not_well():
    run = run_of()
    del run["admin"]
    assert (await statuses(run))[-1] == PartStatus("services", "starting")


def test_urls_have_every_part_by_name():
    known = urls(run_of("http://h"))
    assert known["engines"]["s3"]["credentials"] == {"key": "k", "secret": "s"}
    assert known["services"]["ingress"]["url"] == "http://i"
    assert known["admin"] == {"health": "http://h"}


def test_rows_for_people_show_credentials_and_addresses():
    assert ("s3", "p 1", "a", "k / s") in part_rows(run_of("http://h"))
