"""The poller and the Kruize of this repository, over HTTP."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import orjson

from headrace.contracts.kruize import PERFORMANCE_PROFILE, timestamp
from headrace.runtime.settings import EngineSettings
from tests.integration.ros_poller.flow import START, Flow
from tests.integration.ros_poller.tables import dump, name_of
from tests.service import own, own_database, running, url_of


@asynccontextmanager
async def kruize_serving(settings: EngineSettings, database: str) -> AsyncIterator[str]:
    async with (
        own_database(settings.postgres, database),
        running([own("kruize", database=database)], settings) as host,
    ):
        yield url_of(host)


def metric(name: str, unit: str, **values: str) -> dict[str, Any]:
    return {"name": name, "results": {"aggregation_info": {**values, "format": unit}}}


def usage(container: str) -> dict[str, Any]:
    """The numbers of the sample's workload; their recommendation is known."""
    cpu = {"sum": "0.047932", "avg": "0.047932", "min": "0.031571", "max": "0.064131"}
    memory = {"sum": "513900544", "avg": "513900544", "min": "510009344", "max": "513900544"}
    rss = {"sum": "493311537", "avg": "493311537", "min": "493293568", "max": "493371392"}
    metrics = [
        metric("cpuRequest", "cores", sum="1", avg="1"),
        metric("memoryRequest", "bytes", sum="1073741824", avg="1073741824"),
        metric("cpuUsage", "cores", **cpu),
        metric("memoryUsage", "bytes", **memory),
        metric("memoryRSS", "bytes", **rss),
    ]
    return {"container_image_name": "i", "container_name": container, "metrics": metrics}


async def post(session: aiohttp.ClientSession, path: str, body: Any) -> None:
    async with session.post(path, data=orjson.dumps(body)) as response:
        assert response.status == 201, await response.text()


async def fill(url: str, name: str) -> None:
    """An experiment with an hour of the container `web` and one interval of `late`."""
    about = {"type": "deployment", "name": "app-0", "namespace": "prod"}
    container = {"container_image_name": "i", "container_name": "web"}
    experiment = {
        "version": "1.0",
        "experiment_name": name,
        "cluster_name": "12345;c",
        "performance_profile": PERFORMANCE_PROFILE,
        "mode": "monitor",
        "target_cluster": "remote",
        "kubernetes_objects": [{**about, "containers": [container]}],
        "trial_settings": {"measurement_duration": "15min"},
        "recommendation_settings": {"threshold": "0.1"},
    }
    variable = {
        "name": "cpuUsage",
        "datasource": "prometheus",
        "value_type": "double",
        "kubernetes_object": "container",
        "aggregation_functions": [{"function": "avg", "query": "q"}],
    }
    profile = {
        "name": PERFORMANCE_PROFILE,
        "profile_version": 2.0,
        "k8s_type": "openshift",
        "slo": {
            "slo_class": "resource_usage",
            "direction": "minimize",
            "objective_function": {"function_type": "source"},
            "function_variables": [variable],
        },
    }
    results = []
    for number in range(4):
        end = START - timedelta(minutes=15 * number)
        containers = [usage("web")] + ([usage("late")] if number == 0 else [])
        results.append(
            {
                "version": "1.0",
                "experiment_name": name,
                "interval_start_time": timestamp(end - timedelta(seconds=899)),
                "interval_end_time": timestamp(end),
                "kubernetes_objects": [{**about, "containers": containers}],
            }
        )
    async with aiohttp.ClientSession(url) as session:
        await post(session, "/createPerformanceProfile", profile)
        await post(session, "/createExperiment", [experiment])
        await post(session, "/updateResults", results)


async def test_what_kruize_recommends_is_stored(flow: Flow, fresh: Callable[[str], str]) -> None:
    async with kruize_serving(flow.settings, fresh("kruize")) as url:
        flow.kruize.url = url
        await fill(url, name_of(0))
        async with flow.poller():
            known = await flow.send(0)
            unknown = await flow.send(1)
            endings = await flow.all_ended()
    (ending,) = endings[known]
    assert ending[0] == "success"
    assert "app-0: new: 1 container up to 2023-06-03T00:45:00Z; late: not enough data: " in ending[1]
    (refused,) = endings[unknown]
    assert refused[0] == "error"
    assert f"Not Found: experiment_name does not exist: {name_of(1)}" in refused[1]

    tables = await dump(flow.ros)
    (row,) = tables["recommendation_sets"]
    assert row["container_name"] == "web"
    assert row["cpu_variation_short_cost_pct"] == Decimal("-93.5")
    assert row["memory_variation_short_cost_pct"] == Decimal("-51.757")
    stored = orjson.loads(row["recommendations"])
    config = stored["recommendation_terms"]["short_term"]["recommendation_engines"]["cost"]["config"]
    assert config["requests"]["cpu"]["amount"] == 0.064131
    assert config["requests"]["memory"]["amount"] == 517986304
    # Nothing is limited, and two terms have too little usage: what Go's structs always write is there.
    assert stored["current"]["limits"] == {"cpu": {}, "memory": {}}
    assert stored["recommendation_terms"]["long_term"]["monitoring_start_time"] == "0001-01-01T00:00:00Z"
    assert len(tables["historical_recommendation_sets"]) == 1
