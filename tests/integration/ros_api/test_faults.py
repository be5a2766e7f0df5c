"""PostgreSQL away, cut off in the middle, and clients that take too much of it."""

import asyncio
import json
import re
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.integration.ros_api.harness import (
    ALL_TIME,
    DETAILS,
    LISTS,
    OPENSHIFT,
    UUID_A,
    Api,
    Tenant,
    identity,
    open_api,
)
from tests.integration.ros_api.samples import recommendation
from tests.proxy import TcpProxy
from tests.waiting import eventually

PATHS = (
    *LISTS,
    *(f"{path}/{UUID_A}" for path in DETAILS),
)


async def test_postgresql_away_is_503_on_every_route_and_passes_by_itself(postgres_url: str):
    parts = urlsplit(postgres_url)
    async with TcpProxy.open(f"127.0.0.1:{parts.port or 5432}") as proxy:
        credentials = parts.netloc.rpartition("@")[0]
        seen = f"{parts.scheme}://{credentials}@{proxy.address}{parts.path}"
        async with open_api(postgres_url, seen_by_api=seen) as api:
            tenant = await api.tenant()
            await tenant.app()
            assert len((await api.get(OPENSHIFT, tenant)).data) == 1
            await proxy.refuse()
            for path in PATHS:
                answer = await api.get(path, tenant)
                assert (answer.status, answer.message) == (503, "unable to fetch records from database")
                assert answer.headers["Retry-After"]
            csv = await api.get(OPENSHIFT, tenant, "format=csv")
            assert (csv.status, csv.message) == (503, "unable to fetch records from database")
            assert (await api.get("/status", all_time=False)).status == 200
            await proxy.restore()

            async def shown() -> bool:
                return (await api.get(OPENSHIFT, tenant)).status == 200

            await eventually(shown)


async def many(api: Api, rows: int) -> Tenant:
    """More bytes than sockets hold."""
    tenant = await api.tenant()
    identifier = await tenant.container(
        await tenant.workload(), stored={"filler": "x" * 40_000} | recommendation()
    )
    await tenant.database.execute(
        "insert into recommendation_sets (workload_id, container_name, monitoring_start_time, monitoring_end_time,"
        " recommendations) select workload_id, 'c' || n, monitoring_start_time, monitoring_end_time, recommendations"
        " from recommendation_sets, generate_series(2, $1) n where id = $2",
        rows,
        identifier,
    )
    return tenant


@pytest.mark.parametrize("query", ["limit=-1", "format=csv"])
async def test_a_long_answer_whose_database_goes_away_is_cut_and_not_ended(postgres_url: str, query: str):
    async with open_api(postgres_url, CSV_STREAM_INTERVAL="20", RECORD_LIMIT_CSV="20000") as api:
        tenant = await many(api, 500)
        async with open_stream(api, tenant, query) as response:
            assert response.status == 200
            await response.content.readany()
            ended = await api.database.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and query ilike '%recommendation_sets%'"
            )
            assert ended
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        assert (await api.get(OPENSHIFT, tenant, "limit=1")).json["meta"]["count"] == 500


def open_stream(api: Api, tenant: Tenant, query: str):
    return api.session.get(
        f"{api.url}{OPENSHIFT}?{query}", params=ALL_TIME, headers={"X-Rh-Identity": identity(tenant.org_id)}
    )


async def test_a_client_that_stops_reading_is_dropped_and_holds_no_connection(postgres_url: str):
    async with open_api(
        postgres_url, ROS_API_STALL_SECONDS="0.3", ROS_API_MAX_STREAMS="1", CSV_STREAM_INTERVAL="50"
    ) as api:
        tenant = await many(api, 500)
        reader, writer = await asyncio.open_connection(
            *re.fullmatch(r"http://(.+):(\d+)", api.url).groups(), limit=1 << 12
        )
        writer.write(
            f"GET {OPENSHIFT}?limit=-1&start_date=2000-01-01 HTTP/1.1\r\nHost: x\r\n"
            f"X-Rh-Identity: {identity(tenant.org_id)}\r\n\r\n".encode()
        )
        await reader.readexactly(100)

        async def open_transactions() -> int:
            count: int = await api.database.fetchval(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid() and state <> 'idle'"
            )
            return count

        assert await open_transactions()
        # The one place is taken, yet pages are served.
        assert (await api.get(OPENSHIFT, tenant, "limit=2")).status == 200

        async def released() -> bool:
            return not await open_transactions()

        await eventually(released)
        writer.transport.abort()
        assert len((await api.get(OPENSHIFT, tenant, "limit=-1")).data) == 500


async def test_more_long_answers_than_places_are_told_to_come_back(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("headrace_services.ros_api.store._QUEUE_SECONDS", 0.2)
    async with open_api(postgres_url, ROS_API_MAX_STREAMS="1", CSV_STREAM_INTERVAL="50") as api:
        tenant = await many(api, 500)
        async with open_stream(api, tenant, "limit=-1") as response:
            assert response.status == 200
            answer = await api.get(OPENSHIFT, tenant, "format=csv")
            assert answer.status == 503
            assert "too many long answers" in answer.message
            assert "Retry-After" in answer.headers
            assert len(json.loads(await response.read())["data"]) == 500
        assert (await api.get(OPENSHIFT, tenant, "format=csv")).status == 200


async def test_what_is_stored_wrongly_is_an_error_of_that_answer_only(postgres_url: str):
    """Rows of another shape than the poller's: shown as far as they go."""
    async with open_api(postgres_url) as api:
        tenant = await api.tenant()
        odd = [
            [],
            None,
            {"recommendation_terms": []},
            {
                "recommendation_terms": {
                    "short_term": 3,
                    "long_term": {"plots": [], "recommendation_engines": [1]},
                }
            },
            {"current": {"requests": {"cpu": {"amount": "1"}, "memory": 4}}, "notifications": [1]},
            recommendation(short_term={"duration_in_hours": "x", "plots": {"plots_data": {"t": 1}}}),
        ]
        workload_id = await tenant.workload()
        for number, stored in enumerate(odd):
            identifier = await tenant.container(workload_id, f"c{number}")
            await tenant.database.execute(
                "update recommendation_sets set recommendations = $1 where id = $2",
                json.dumps(stored),
                identifier,
            )
            assert (await api.get(f"{OPENSHIFT}/{identifier}", tenant, all_time=False)).status in {200, 404}
        assert len((await api.get(OPENSHIFT, tenant)).data) == len(odd)
        assert (await api.get(OPENSHIFT, tenant, "format=csv")).status == 200
