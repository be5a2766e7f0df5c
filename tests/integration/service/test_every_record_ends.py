"""Whole records, drawn at random, for every service that consumes: each ends, and the process lives.

HEADRACE_FUZZ_EXAMPLES says how many batches each consumption is sent, of one to four records (20 by default).
"""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headrace.bus.admin import admin_client, ensure_topics
from headrace.bus.consumption import Consumption
from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.local.ports import EnginePorts
from headrace.local.shape import settings_of_ports
from headrace.runtime.metrics import REGISTRY
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace.service.host import Host
from headrace.service.initialise import initialise
from headrace.service.process import running
from headrace.service.row import Service
from headrace_services.registry import BY_NAME, SERVICES
from tests.engines import SessionEngines
from tests.raw_records import CODECS, NOW_MS, batch, bomb, produce, record
from tests.waiting import eventually

BATCHES = int(os.environ.get("HEADRACE_FUZZ_EXAMPLES", "20"))
OUTCOMES = ("processed", "rejected", "dead_lettered", "filtered")
CONSUMING = [row for row in SERVICES if row.consumes]
# What those ask over HTTP.
ASKED = [row for row in SERVICES if row.name in {"kruize", "sources_api"}]

CLUSTER = "11111111-2222-4333-8444-555555555555"


def identity(**changes: Any) -> str:
    told = {
        "org_id": "1001",
        "account_number": "42",
        "type": "System",
        "internal": {"org_id": "1001"},
        "system": {"cn": CLUSTER, "cluster_id": CLUSTER},
    }
    return base64.b64encode(json.dumps({"identity": told | changes}).encode()).decode()


ANNOUNCEMENT = {
    "account": "42",
    "category": "periodic",
    "content_type": "application/vnd.redhat.openshift.periodic+tar.gz",
    "metadata": {"reporter": "", "stale_timestamp": "0001-01-01T00:00:00Z", "custom_metadata": {"a": "b"}},
    "request_id": "fuzzed-request",
    "principal": "1001",
    "org_id": "1001",
    "service": "openshift",
    "size": 114,
    "url": "http://127.0.0.1:1/insights-upload-perma/fuzzed-request",
    "b64_identity": identity(),
    "timestamp": "2026-11-21T21:28:22.990776141Z",
    "bucket": "insights-upload-perma",
    "object_key": "fuzzed-request",
    "etag": "0123456789abcdef0123456789abcdef",
}
# One good message a topic, which is then spoilt.
GOOD: dict[str, dict[str, Any]] = {
    "platform.upload.announce": ANNOUNCEMENT,
    "platform.payload-status": {
        "service": "ingress",
        "source": "x",
        "account": "42",
        "org_id": "1001",
        "request_id": "fuzzed-request",
        "inventory_id": "i",
        "system_id": "s",
        "status": "received",
        "status_msg": "m",
        "date": "2026-11-21T21:28:22.990776141Z",
    },
    "hccm.ros.events": {
        "request_id": "fuzzed-request",
        "b64_identity": identity(),
        "metadata": {
            "account": "42",
            "org_id": "1001",
            "source_id": "1",
            "provider_uuid": CLUSTER,
            "cluster_uuid": CLUSTER,
            "operator_version": "1",
            "cluster_alias": "a",
        },
        "files": ["http://127.0.0.1:1/ros-data/x.csv"],
        "object_keys": ["x.csv"],
    },
    "platform.sources.event-stream": {"id": 1, "source_id": 2, "application_type_id": 3, "tenant": "1001"},
    "rosocp.kruize.recommendations": {
        "request_id": "fuzzed-request",
        "metadata": {
            "org_id": "1001",
            "workload_id": 1,
            "experiment_name": "e",
            "max_endtime_report": "2026-11-21T21:28:22Z",
            "experimentType": "container",
        },
    },
    "ccx.ocp.results": {
        "OrgID": 1001,
        "AccountNumber": 42,
        "ClusterName": CLUSTER,
        "Report": {
            "system": {"metadata": {}, "hostname": None},
            "reports": [
                {
                    "rule_id": "r|K",
                    "component": "pack.rules.r.report",
                    "type": "rule",
                    "key": "K",
                    "details": {"type": "rule", "error_key": "K"},
                    "tags": [],
                    "links": {},
                }
            ],
            "fingerprints": [],
            "info": [
                {"info_id": "version_info|CLUSTER_VERSION_INFO", "type": "info", "details": {"version": "4"}}
            ],
        },
        "LastChecked": "2026-11-21T21:28:22.990776141Z",
        "Version": 2,
        "RequestId": "fuzzed-request",
        "Metadata": {"a": 1},
    },
    "ccx.dvo.results": {
        "OrgID": 1001,
        "ClusterName": CLUSTER,
        "Metrics": {
            "workload_recommendations": [
                {
                    "response_id": "r|K",
                    "component": "c",
                    "key": "K",
                    "details": {},
                    "workloads": [
                        {
                            "kind": "Pod",
                            "namespace": "n",
                            "namespace_uid": CLUSTER,
                            "name": "p",
                            "uid": CLUSTER,
                        }
                    ],
                }
            ]
        },
        "LastChecked": "2026-11-21T21:28:22.990776141Z",
        "Version": 2,
        "RequestId": "fuzzed-request",
    },
}


class Literal:
    """Bytes that stand in the JSON as they are."""

    def __init__(self, text: str) -> None:
        self.text = text


HOSTILE = st.sampled_from(
    [
        *(
            None,
            "",
            " ",
            "\0",
            "a\0b",
            "acme-corp",
            "01",
            "x" * 70_000,
            "../../etc/passwd",
            "a\nb",
            "\u202e",
            "9" * 30,
        ),
        *(0, -1, 2**31, 2**63, 2**64, -(2**70), 1.5, True, [], {}, [[]], [None], {"": ""}, {"\0": "\0"}),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "not a time", "2026-11-21T21:28:22+99:99", "-1"),
        *("http://169.254.169.254/", "s3://", "file:///etc/passwd", "http://[", "http://a\0b/", "//"),
        *(identity(org_id=odd) for odd in ("acme-corp", 1001, "", "\0", None, [1], "9" * 5000)),
        *(
            "%%%",
            base64.b64encode(b"[" * 5000).decode(),
            base64.b64encode(b'{"identity": "\\ud800"}').decode(),
        ),
        *(
            Literal(text)
            for text in ("NaN", "1e999", "9" * 5000, "[" * 190 + "]" * 190, "[" * 5000 + "]" * 5000)
        ),
        *(Literal(text) for text in ('"\\ud800"', '{"a":1,"a":2}', '"\xff"', "01")),
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        found += places(item, (*path, name))
    return found


def spoilt(value: Any, changes: dict[tuple[Any, ...], Any], path: tuple[Any, ...] = ()) -> str:
    """JSON of the value with what is at these places replaced, `...` taking it out."""
    if path in changes:
        chosen = changes[path]
        return chosen.text if isinstance(chosen, Literal) else json.dumps(None if chosen is ... else chosen)
    if isinstance(value, dict):
        left = ((name, item) for name, item in value.items() if changes.get((*path, name)) is not ...)
        members = (f"{json.dumps(name)}:{spoilt(item, changes, (*path, name))}" for name, item in left)
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(spoilt(item, changes, (*path, at)) for at, item in enumerate(value))}]"
    return json.dumps(value)


def values(topic: str) -> st.SearchStrategy[bytes | None]:
    good = GOOD.get(topic, {"request_id": "fuzzed-request"})
    changes = st.dictionaries(st.sampled_from(places(good)), HOSTILE | st.just(...), min_size=0, max_size=2)
    messages = changes.map(lambda chosen: spoilt(good, chosen).encode("latin-1", "replace"))
    cut = st.tuples(messages, st.integers(0, 200)).map(lambda drawn: drawn[0][: drawn[1]])
    others = st.sampled_from(
        [None, b"", b"null", b"[]", b"{}", b"1", b'"x"', b"\xff" * 900_000, b"\0", b"[" * 1000]
    )
    return st.one_of(messages, messages, messages, messages, cut, others, st.binary(max_size=50))


def headers(wanted: list[tuple[bytes, bytes]]) -> st.SearchStrategy[list[tuple[bytes, bytes | None]]]:
    """Mostly with one that lets the record through to whoever filters by it."""
    odd = st.lists(
        st.tuples(
            st.sampled_from(
                [b"service", b"event_type", b"traceparent", b"headrace.topic", b"\xff\xfe", b"", b"\0"]
            ),
            st.none() | st.binary(max_size=60) | st.just(b"x" * 20_000),
        ),
        max_size=3,
    )
    right = st.sampled_from([[one] for one in wanted] or [[]])
    return st.tuples(right | right | right | st.just([]), odd).map(lambda drawn: [*drawn[0], *drawn[1]])


TIMES = st.sampled_from([NOW_MS, NOW_MS, -1, 0, 1, -(10**15), -(2**63) + 1, 1_700_000_000])
KEYS = st.none() | st.binary(max_size=20) | st.sampled_from([b"\xff", b"", b"k" * 50_000])


BOMB = bomb(80 * 1024 * 1024)


@st.composite
def batches(draw: st.DrawFn, topic: str, wanted: list[tuple[bytes, bytes]]) -> tuple[bytes, int]:
    """A batch and how many records it has; one whose codec cannot be undone counts as one."""
    if draw(st.integers(0, 30)) == 0:
        return batch(compressed=BOMB, codec="zstd", count=1), 1
    count = draw(st.integers(1, 4))
    drawn = [
        record(draw(values(topic)), key=draw(KEYS), headers=draw(headers(wanted)), number=number)
        for number in range(count)
    ]
    return batch(*drawn, codec=draw(st.sampled_from(list(CODECS))), timestamp_ms=draw(TIMES)), count


def counted(service: str, topic: str) -> dict[str, float]:
    labels = {"service": service, "topic": topic}
    found = {
        outcome: REGISTRY.get_sample_value("headrace_messages_total", labels | {"outcome": outcome})
        for outcome in OUTCOMES
    }
    return {outcome: number or 0.0 for outcome, number in found.items()}


def isolated(row: Service, fresh: Callable[[str], str]) -> Service:
    """The service on topics, groups and a database of its own."""
    consumes = tuple(
        replace(
            item,
            topic=replace(item.topic, name=f"{item.topic.name}-{fresh('t')}", partitions=1),
            group=fresh("g"),
        )
        for item in row.consumes
    )
    return replace(row, consumes=consumes, database=row.database and fresh(row.database.replace("_", "-")))


@asynccontextmanager
async def everything(
    engines: SessionEngines, fresh: Callable[[str], str], patch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Host, list[Service]]]:
    rows = [isolated(row, fresh) for row in (*ASKED, *CONSUMING)]
    shared = {row.database for row in SERVICES if row.schema}
    named = {name: fresh("ros") for name in shared}
    rows = [
        replace(row, database=named[original.database]) if original.schema and original.database else row
        for row, original in zip(rows, (*ASKED, *CONSUMING), strict=True)
    ]
    for name, value in settings_of_ports(SERVICES, EnginePorts.random().kafka).items():
        patch.setenv(name, value)
    told = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=engines.postgres)
    await ensure_topics(told, [*(topic for row in rows for topic in row.topics), PAYLOAD_STATUS])
    await initialise(told, [*rows, BY_NAME["ingress"]])
    async with running(rows, told, ProcessSettings(admin_port=0, lenient=True)) as host:
        yield host, [row for row in rows if row.consumes]


def drawn(consumption: Consumption) -> list[tuple[bytes, int]]:
    """The batches to send to one consumption."""
    found: list[tuple[bytes, int]] = []
    wanted = [(consumption.header.encode(), value.encode()) for value in sorted(consumption.values)]

    @settings(
        max_examples=BATCHES,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(batches(consumption.topic.name, wanted))
    def draw(one: tuple[bytes, int]) -> None:
        found.append(one)

    draw()
    return found


async def test_every_record_ends_in_every_service_and_the_process_lives(
    engines: SessionEngines,
    fresh: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    # Before anything else runs: hypothesis watches over the draws of the whole process.
    everyone = [drawn(item) for row in CONSUMING for item in row.consumes]
    told = EngineSettings(kafka=engines.kafka)
    async with everything(engines, fresh, monkeypatch) as (host, rows):
        living = asyncio.create_task(host.run(asyncio.Event()))
        consumed = [(row.name, item) for row in rows for item in row.consumes]
        sent = {item.topic.name: 0 for _, item in consumed}

        async def all_ended() -> bool:
            assert not living.done(), living
            for service, item in consumed:
                topic = item.topic.name
                ended = counted(service, topic)
                assert sum(ended.values()) == sent[topic], (service, topic, sent[topic], ended, problems())
                async with admin_client(told) as client:
                    (committed,) = (await client.list_consumer_group_offsets(item.group)).values()
                assert committed.offset == sent[topic]
            return True

        def problems() -> list[str]:
            found = [consumer.problem for context in host.contexts for consumer in context.consumers]
            return [problem for problem in found if problem]

        for (_, item), made in zip(consumed, everyone, strict=True):
            said = await produce(engines.kafka, item.topic.name, *(one for one, _ in made))
            taken = [count for (_, count), word in zip(made, said, strict=True) if word == "NoError"]
            sent[item.topic.name] = sum(taken)
        await eventually(
            all_ended, within_seconds=30 + BATCHES, every_seconds=0.5, describe="every record ended"
        )
        assert problems() == []
        table = [
            f"{service}, {item.topic.name}: {counted(service, item.topic.name)}" for service, item in consumed
        ]
        record_property("figures", "\n".join(table))
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)


def of_organisation(topic: str, org_id: str, number: int) -> bytes:
    """The topic's good message, from that organisation."""
    text = json.dumps(GOOD[topic]).replace(identity(), identity(org_id=org_id, internal={"org_id": org_id}))
    return text.replace("fuzzed-request", f"{org_id}-{number}").replace("1001", org_id).encode()


async def test_one_organisation_that_is_no_number_stops_no_service(
    engines: SessionEngines, fresh: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """110 messages with the organisation `acme-corp` were enough for a restart by hand."""
    async with everything(engines, fresh, monkeypatch) as (host, rows):
        consumed = [(row.name, item) for row in rows for item in row.consumes]
        originals = [item.topic.name for row in CONSUMING for item in row.consumes]
        for (_, item), topic in zip(consumed, originals, strict=True):
            headers = [(item.header.encode(), min(item.values).encode())] if item.header else []
            if topic == "platform.upload.announce" and "openshift" in item.values:
                headers = [(b"service", b"openshift")]
            sent = (
                record(of_organisation(topic, "acme-corp", number), headers=headers, number=number)
                for number in range(110)
            )
            other = record(of_organisation(topic, "2002", 0), headers=headers)
            assert (
                await produce(engines.kafka, item.topic.name, batch(*sent), batch(other)) == ["NoError"] * 2
            )

        async def all_ended() -> bool:
            for service, item in consumed:
                ended = counted(service, item.topic.name)
                assert sum(ended.values()) == 111, (service, item.topic.name, ended)
            return True

        await eventually(all_ended, within_seconds=60, every_seconds=0.5)
        found = [consumer.problem for context in host.contexts for consumer in context.consumers]
        assert [problem for problem in found if problem] == []
