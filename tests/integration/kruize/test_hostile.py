"""Whatever is sent, the answer is of the known form and the service goes on."""

import asyncio
import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.integration.kruize.harness import (
    Kruize,
    end_of,
    experiment,
    namespace_experiment,
    namespace_record,
    new_name,
    open_kruize,
    profile,
    record,
)
from tests.proxy import TcpProxy
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 5e-324, 2**63, -(2**70), "", " ", "x" * 1100, "\U0001f600", "NaN", "1e308", "\u0661",
    [], {}, [None], [[]], [{}], {"a": {}}, DEEP,
)  # fmt: skip


def changed(document: Any) -> Iterator[Any]:
    """The document with each of its parts replaced by each of the values."""
    for path in paths(document):
        for value in VALUES:
            copy = deepcopy(document)
            inner = copy
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            yield copy


def paths(document: Any, *before: Any) -> Iterator[tuple[Any, ...]]:
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from paths(value, *before, key)


def few_metrics(made: dict[str, Any]) -> dict[str, Any]:
    """Short, so that there are fewer parts to replace."""
    (only,) = made["kubernetes_objects"]
    target = only["containers"][0] if "containers" in only else only["namespaces"]
    target["metrics"] = [
        each for each in target["metrics"] if each["name"].lower().endswith(("usage", "rss"))
    ]
    return made


async def test_a_part_of_the_wrong_kind_never_breaks_the_results(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()), namespace_experiment(other := new_name()))
    for made in (few_metrics(record(name)), few_metrics(namespace_record(other))):
        sent = list(changed(made))
        for at in range(0, len(sent), 100):
            answer = await kruize.post("/updateResults", sent[at : at + 100])
            assert answer.said[0] in {201, 400}
            if answer.status == 400:
                assert all(len(item["errors"]) == 1 for item in answer.json["data"])
    # What was taken of it must not break the lists or the arithmetic either.
    answer = await kruize.get("/listExperiments", results="true", latest="false")
    assert len(answer.json) == 2
    for each in (name, other):
        answer = await kruize.post("/generateRecommendations", experiment_name=each)
        assert answer.status == 201, answer.body


async def test_numbers_as_large_and_small_as_they_get_can_be_computed_with(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()), namespace_experiment(other := new_name()))
    extremes = ("1e308", "5e-324", "0", "1.7976931348623157e308")
    for kind, made, prefix in ((name, record, ""), (other, namespace_record, "namespace")):
        records = []
        for number in range(200):
            picked = [extremes[number // 4**place % 4] for place in range(4)]
            cpu = dict(zip(("sum", "avg", "min", "max"), picked, strict=True)) | {"format": "cores"}
            memory = dict(zip(("max", "min", "avg", "sum"), picked, strict=True)) | {"format": "bytes"}
            names = ("cpuUsage", "memoryUsage", "cpuRequest", "memoryLimit")
            usage = dict(zip(names, (cpu, memory, cpu, memory), strict=True))
            if prefix:
                usage = {prefix + key[0].upper() + key[1:]: info for key, info in usage.items()}
            records.append(made(kind, number, changed=usage))
        await kruize.store(records)
        for number in (1, 3, 199):
            answer = await kruize.post(
                "/updateRecommendations", experiment_name=kind, interval_end_time=end_of(number)
            )
            assert answer.status == 201, answer.body
            assert len((await kruize.get("/listRecommendations", experiment_name=kind)).json) == 1


async def test_a_part_of_the_wrong_kind_never_breaks_the_other_calls(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    short = profile()
    short["slo"]["function_variables"] = short["slo"]["function_variables"][:1]
    calls = [
        *(("POST", "/createExperiment", [body]) for body in changed(experiment(name))),
        *(("POST", "/createExperiment", [body]) for body in changed(namespace_experiment(name))),
        *(("DELETE", "/createExperiment", body) for body in changed([{"experiment_name": "gone"}])),
        *(("PUT", "/updatePerformanceProfile", body) for body in changed(short)),
        *(("POST", "/createPerformanceProfile", body) for body in changed(short)),
    ]
    for at in range(0, len(calls), 20):
        answers = await asyncio.gather(*(kruize.call(*call) for call in calls[at : at + 20]))
        for call, answer in zip(calls[at : at + 20], answers, strict=True):
            assert answer.said[0] in {200, 201, 400, 404, 409}, call
    for path in ("/listExperiments", "/listRecommendations", "/listPerformanceProfiles"):
        answer = await kruize.get(path)
        assert answer.status == 200
        json.loads(answer.body)


async def raw(kruize: Kruize, request: bytes) -> bytes:
    """Send bytes as they are; the whole answer."""
    host, _, port = kruize.url.removeprefix("http://").partition(":")
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


async def test_names_come_as_clients_write_them(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    for written in (name, quote(name)):
        asked = f"GET /listExperiments?experiment_name={written} HTTP/1.0\r\nHost: kruize\r\n\r\n"
        assert (await raw(kruize, asked.encode())).startswith(b"HTTP/1.0 200 ")
    for odd in (b"%00", b"%ff%fe", b"\xed\xa0\x80", b"%ED%A0%80", b"a" * 3000):
        for method, path in ((b"GET", b"/listExperiments"), (b"GET", b"/listRecommendations")):
            request = method + b" " + path + b"?experiment_name=" + odd + b" HTTP/1.0\r\nHost: kruize\r\n\r\n"
            assert (await raw(kruize, request)).startswith(b"HTTP/1.0 400 "), odd
        for rest in (b"&interval_end_time=" + end_of(0).encode(), b"&interval_end_time=" + odd):
            request = (
                b"POST /updateRecommendations?experiment_name=" + odd + rest + b" HTTP/1.0\r\nHost: k\r\n\r\n"
            )
            assert (await raw(kruize, request)).startswith(b"HTTP/1.0 400 "), odd


async def test_any_content_type_is_taken(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    for number, kind in enumerate(("text/plain", "application/x-www-form-urlencoded", "nonsense", "")):
        async with kruize.session.post(
            f"{kruize.url}/updateResults",
            data=json.dumps([record(name, number)]).encode(),
            headers={"Content-Type": kind},
        ) as response:
            assert response.status == 201


async def test_a_body_is_bounded(database: str) -> None:
    async with open_kruize(database, KRUIZE_MAX_BODY_BYTES="5000") as kruize:
        answer = await kruize.post("/updateResults", b"[" + b" " * 6000 + b"]")
        assert answer.said[0] == 413
        assert (await kruize.post("/createPerformanceProfile", b"{}")).status == 400


async def test_a_path_or_method_that_is_not_there_is_an_error_of_the_known_form(kruize: Kruize) -> None:
    assert (await kruize.get("/bulk")).said[0] == 404
    answer = await kruize.get("/updateResults")
    assert answer.said[0] == 405
    assert answer.headers["Allow"] == "POST"


async def test_health_and_metrics_can_be_asked_for(kruize: Kruize) -> None:
    health = await kruize.get("/health")
    assert (health.status, health.body) == (200, b"UP")
    await kruize.create(experiment(name := new_name()))
    await kruize.store([record(name)])
    await kruize.post("/updateResults", [record(name)])
    text = (await kruize.get("/metrics")).text
    labels = 'api="updateResults",application="Kruize",method="POST"'
    assert f'kruizeAPI_seconds_count{{{labels},status="success"}}' in text
    assert f'kruizeAPI_seconds_count{{{labels},status="failure"}}' in text
    assert 'kruize_result_records_total{outcome="duplicate"}' in text


async def test_a_database_that_is_away_is_said_and_comes_back(database: str) -> None:
    server = database.rpartition("@")[2].partition("/")[0]
    async with TcpProxy.open(server) as proxy:
        behind = database.replace(server, proxy.address)
        async with open_kruize(behind) as kruize:
            await kruize.create(experiment(name := new_name()))
            await kruize.store([record(name, 0)])
            await proxy.refuse()
            calls = [
                kruize.get("/health"),
                kruize.get("/listExperiments"),
                kruize.get("/listRecommendations"),
                kruize.post("/updateResults", [record(name, 1)]),
                kruize.post("/createExperiment", [experiment(new_name())]),
                kruize.post("/updateRecommendations", experiment_name=name, interval_end_time=end_of(0)),
            ]
            for answer in await asyncio.gather(*calls):
                assert answer.said[0] == 503
                assert answer.headers["Retry-After"] == "5"
            await proxy.restore()

            async def healthy() -> bool:
                return (await kruize.get("/health")).status == 200

            await eventually(healthy)
            await kruize.store([record(name, 1)])


async def test_a_list_that_cannot_be_read_to_its_end_does_not_look_whole(database: str) -> None:
    server = database.rpartition("@")[2].partition("/")[0]
    async with TcpProxy.open(server) as proxy, open_kruize(database.replace(server, proxy.address)) as kruize:
        await kruize.create(experiment(new_name()))
        await kruize.fetch(
            "insert into kruize_experiments (experiment_name, experiment_id, version, cluster_name,"
            " experiment_type, mode, target_cluster, settings)"
            " select 'e' || n, '', '1.0', 'c', 'container', 'monitor', 'remote',"
            """ format('{"slo":"%s"}', repeat('x', 1000))::json from generate_series(1, 3000) n"""
        )
        assert len((await kruize.get("/listExperiments")).json) == 3001
        # Of any connection: some pages pass, the last do not.
        proxy.down.reset_after_bytes = proxy.bytes_down + 1_500_000
        with pytest.raises(aiohttp.ClientPayloadError):
            await kruize.get("/listExperiments")
        proxy.down.reset_after_bytes = None
        assert len((await kruize.get("/listExperiments")).json) == 3001
