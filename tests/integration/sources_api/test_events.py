"""Events: what they say, their order, and that none is lost whatever is away."""

import asyncio
import re
from collections.abc import Callable

import pytest
from aiokafka.admin import NewTopic

from headrace.bus.admin import admin_client
from headrace.bus.producer import Producer
from headrace.contracts.announcement import Announcement
from headrace.contracts.sources import SourcesEvent
from headrace.contracts.topics import SOURCES_EVENTS
from headrace.runtime.settings import EngineSettings
from headrace_services.sources_api.events import Relay
from tests.engines import SessionEngines
from tests.integration.sources_api.harness import (
    COST,
    PSK,
    Sources,
    header,
    identity,
    open_sources,
    types,
    value,
)
from tests.proxy import TcpProxy
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


async def test_an_event_has_headers_key_and_integer_ids(sources: Sources, org: str) -> None:
    sent = identity(org, account_number="777")
    body = {"name": "cluster", "source_type_id": await sources.type_id("openshift"), "source_ref": "r"}
    source = (await sources.post("sources", body=body, x_rh_identity=sent)).json
    application = await sources.post(
        "applications",
        body={
            "source_id": source["id"],
            "application_type_id": await sources.type_id(COST),
            "extra": {"b": [1]},
        },
        x_rh_identity=sent,
    )
    first, second = await sources.events.exactly(org, 2)
    assert {name for name, _ in first.headers} == {
        "event_type",
        "event_id",
        "x-rh-identity",
        "x-rh-sources-account-number",
        "x-rh-sources-org-id",
    }
    assert (header(first, "event_type"), header(second, "event_type")) == (
        "Source.create",
        "Application.create",
    )
    assert header(first, "x-rh-identity") == sent
    assert header(first, "x-rh-sources-account-number") == "777"
    assert header(first, "x-rh-sources-org-id") == org
    assert header(first, "event_id") != header(second, "event_id")
    told = value(first)
    assert STAMP.fullmatch(told.pop("created_at"))
    assert STAMP.fullmatch(told.pop("updated_at"))
    assert told == {
        "id": int(source["id"]),
        "name": "cluster",
        "uid": source["uid"],
        "source_ref": "r",
        "source_type_id": int(source["source_type_id"]),
        "tenant": "777",
        "availability_status": "in_progress",
        "app_creation_workflow": "manual_configuration",
        "version": None,
        "imported": None,
        "last_checked_at": None,
        "last_available_at": None,
        "paused_at": None,
    }
    told = value(second)
    assert (told["id"], told["source_id"]) == (int(application.json["id"]), int(source["id"]))
    assert (told["extra"], told["superkey_data"], told["paused_at"]) == ({"b": [1]}, None, None)
    read = SourcesEvent.from_json(second.value)
    assert (read.application_type_id, read.tenant) == (int(application.json["application_type_id"]), "777")


async def test_a_service_with_a_key_speaks_with_an_identity_made_for_it(sources: Sources, org: str) -> None:
    key = {"x_rh_sources_psk": PSK, "x_rh_sources_org_id": org}
    body = {"name": "cluster", "source_type_id": await sources.type_id("openshift")}
    await sources.post("sources", body=body, **key)
    (record,) = await sources.events.exactly(org, 1)
    assert header(record, "x-rh-identity")
    assert (await sources.get("sources", x_rh_identity=header(record, "x-rh-identity"))).json["meta"][
        "count"
    ] == 1
    assert value(record)["tenant"] == org


async def test_each_change_tells_its_kind(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    application = await sources.application(org, source["id"])
    endpoint = await sources.made("endpoints", org, source_id=source["id"])
    authentication = await sources.made(
        "authentications", org, resource_type="Application", resource_id=application["id"], password="s3cret"
    )
    await sources.patch(f"sources/{source['id']}", org, {"version": "2"})
    await sources.patch(f"applications/{application['id']}", org, {"availability_status": "available"})
    await sources.patch(f"endpoints/{endpoint['id']}", org, {"path": "/"})
    await sources.patch(f"authentications/{authentication['id']}", org, {"username": "u"})
    await sources.post(f"sources/{source['id']}/pause", org)
    await sources.post(f"applications/{application['id']}/unpause", org)
    await sources.post(f"sources/{source['id']}/unpause", org)
    await sources.delete(f"sources/{source['id']}", org)
    records = await sources.events.exactly(org, 19)
    assert types(records) == [
        "Source.create",
        "Application.create",
        "Endpoint.create",
        "ApplicationAuthentication.create",
        "Authentication.create",
        "Source.update",
        "Application.update",
        "Endpoint.update",
        "Authentication.update",
        "Source.pause",
        "Application.pause",
        "Application.unpause",
        "Source.unpause",
        "Application.unpause",
        "ApplicationAuthentication.destroy",
        "Application.destroy",
        "Endpoint.destroy",
        "Source.destroy",
        "Authentication.destroy",
    ]
    assert STAMP.fullmatch(value(records[9])["paused_at"])
    assert value(records[15])["source_id"] == int(source["id"])
    assert not any(b"s3cret" in record.value for record in records)


async def test_a_change_that_is_refused_tells_nothing(sources: Sources, org: str) -> None:
    source = await sources.source(org, source_ref="r")
    assert (await sources.post("sources", org, {"name": "b", "source_type_id": 9999})).status == 400
    taken = {"name": "b", "source_type_id": source["source_type_id"], "source_ref": "r"}
    assert (await sources.post("sources", org, taken)).status == 400
    assert (await sources.patch("sources/999999", org, {"name": "b"})).status == 404
    await sources.delete(f"sources/{source['id']}", org)
    assert types(await sources.events.exactly(org, 2)) == ["Source.create", "Source.destroy"]


async def test_the_copies_that_ingress_puts_on_the_topic_stay_apart(
    sources: Sources, engines: SessionEngines, org: str
) -> None:
    producer = await Producer.open(EngineSettings(kafka=engines.kafka), service="test")
    try:
        copy = Announcement(request_id="r", account="", org_id=org, service="hccm", url="http://s3/r", size=1)
        await producer.send(SOURCES_EVENTS, copy, key=org, headers={"service": "hccm"})
        await sources.source(org)
        await producer.send(SOURCES_EVENTS, copy, key=org, headers={"service": "hccm"})
    finally:
        await producer.close()
    records = await sources.events.exactly(org, 3)
    assert sorted(types(records)) == ["", "", "Source.create"]


async def test_what_was_committed_and_not_sent_is_sent_after_a_restart(
    engines: SessionEngines, database: str, org: str
) -> None:
    async with open_sources(engines.kafka, database) as first:
        stop_relay(first)
        source = await first.source(org)
        await first.patch(f"sources/{source['id']}", org, {"version": "2"})
        await first.delete(f"sources/{source['id']}", org)
        assert await first.kept() == 3
        assert await first.events.of(org) == []
        async with open_sources(engines.kafka, database) as second:
            records = await first.events.exactly(org, 3)
            assert types(records) == ["Source.create", "Source.update", "Source.destroy"]
            await eventually(lambda: nothing_kept(second))


async def test_replicas_send_each_event_once_and_in_order(
    engines: SessionEngines, database: str, fresh: Callable[[str], str]
) -> None:
    orgs = [fresh("org") for _ in range(4)]
    async with (
        open_sources(engines.kafka, database) as first,
        open_sources(engines.kafka, database) as second,
    ):

        async def change(org: str) -> None:
            source = await first.source(org)
            for number in range(15):
                replica = (first, second)[number % 2]
                await replica.patch(f"sources/{source['id']}", org, {"version": str(number)})

        await asyncio.gather(*(change(org) for org in orgs))
        for org in orgs:
            records = await first.events.exactly(org, 16)
            versions = [value(record)["version"] for record in records]
            assert versions == [None, *(str(number) for number in range(15))]
        await eventually(lambda: nothing_kept(first))


async def test_a_backlog_larger_than_a_batch_keeps_its_order(
    engines: SessionEngines, database: str, org: str
) -> None:
    async with open_sources(engines.kafka, database) as opened:
        stop_relay(opened)
        source = await opened.source(org)
        await opened.database.execute(
            "insert into outbox (tenant_id, event_type, key, headers, value)"
            " select tenant_id, 'Source.update', key, headers, convert_to(json_build_object('n', n)::text, 'UTF8')"
            " from outbox, generate_series(1, 250) n order by n"
        )
        assert source
        async with open_sources(engines.kafka, database):
            records = await opened.events.exactly(org, 251)
    assert [value(record)["n"] for record in records[1:]] == list(range(1, 251))


async def test_an_event_that_kafka_refuses_is_kept_and_holds_nobody_elses(
    engines: SessionEngines, database: str, org: str, other_org: str, fresh: Callable[[str], str]
) -> None:
    settings = EngineSettings(kafka=engines.kafka)
    topic = fresh("small")
    async with admin_client(settings) as admin:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    async with open_sources(engines.kafka, database) as opened:
        stop_relay(opened)
        source = await opened.source(org)
        application = await opened.application(org, source["id"])
        await opened.patch(f"applications/{application['id']}", org, {"extra": {"x": "y" * 4000}})
        await opened.source(other_org)
        producer = await Producer.open(settings, service="test")
        relay = Relay(opened.database, producer, topic)
        await relay.drain()
        assert await opened.kept() == 1
        assert "Kafka refused an event" in str(relay.problem)
        await producer.close()


async def test_a_broker_that_was_away_gets_the_events_when_it_is_back(
    engines: SessionEngines, database: str, org: str, other_org: str
) -> None:
    async with TcpProxy.open(engines.kafka) as proxy:
        await proxy.refuse()
        async with open_sources(proxy.address, database, kafka_seen_by_test=engines.kafka) as opened:
            # None of the answers waits for Kafka.
            async with asyncio.timeout(20):
                for number in range(3):
                    for name in (org, other_org):
                        await opened.source(name, f"cluster-{number}")
            assert await opened.kept() == 6
            health = opened.host.contexts[0].health
            problem = await eventually(lambda: health.problems.get("relays events"))
            assert "events are waiting to be sent" in problem
            assert (await opened.get("/health")).status == 200
            await proxy.restore()
            for name in (org, other_org):
                records = await opened.events.exactly(name, 3, within_seconds=90)
                assert [value(record)["name"] for record in records] == [f"cluster-{n}" for n in range(3)]
            await eventually(lambda: not health.problems)
            await eventually(lambda: nothing_kept(opened))


async def test_events_outlive_an_absence_of_the_database(
    engines: SessionEngines, database: str, org: str
) -> None:
    address = engines.postgres.rpartition("@")[2].partition("/")[0]
    async with TcpProxy.open(address) as proxy:
        proxied = database.replace(address, proxy.address)
        async with open_sources(engines.kafka, database, postgres=proxied) as opened:
            source = await opened.source(org)
            await opened.events.exactly(org, 1)
            await proxy.refuse()
            answer = await opened.patch(f"sources/{source['id']}", org, {"version": "2"})
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert answer.detail
            health = opened.host.contexts[0].health
            await eventually(lambda: "PostgreSQL" in health.problems.get("relays events", ""))
            await proxy.restore()
            changed = await opened.patch(f"sources/{source['id']}", org, {"version": "3"})
            assert changed.status == 200

            async def told() -> bool:
                # Where the connection broke between acknowledgement and commit, an event comes again: the same one.
                records = {header(record, "event_id"): record for record in await opened.events.of(org)}
                return [value(record)["version"] for record in records.values()] == [None, "3"]

            await eventually(told)


def stop_relay(sources: Sources) -> None:
    """As if the process ended between its commits and the sending."""
    tasks = sources.host._shared.tasks
    (relay,) = [task for task, name in tasks.items() if name == "sources_api: relay"]
    relay.cancel()
    del tasks[relay]


async def nothing_kept(sources: Sources) -> bool:
    return await sources.kept() == 0
