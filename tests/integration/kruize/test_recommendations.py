import re
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from headrace.contracts.kruize import CONTAINER_METRICS, NAMESPACE_METRICS, VALUES, timestamp
from headrace.contracts.ros import ExperimentType
from headrace_services.kruize.recommendations import recommend
from headrace_services.kruize.series import METRICS, UNITS, Series
from tests.integration.kruize.harness import (
    FIRST_END,
    Kruize,
    amounts,
    end_of,
    experiment,
    namespace_experiment,
    namespace_record,
    new_name,
    open_kruize,
    record,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAYS_15 = 1440


def series(kind: ExperimentType, count: int) -> Series:
    """What the harness' records say, made without storing them."""
    first = round(FIRST_END.timestamp() * 1000)
    ends = first + 900_000 * np.arange(count, dtype=np.int64)
    metrics = METRICS[kind]
    values = np.full((count, len(metrics), len(VALUES)), np.nan)
    for number in range(count):
        for position, metric in enumerate(metrics):
            for name, text in amounts(metric, number).items():
                values[number, position, VALUES.index(name)] = float(text)
    units = np.tile(np.array([UNITS.index(metric.unit) for metric in metrics], dtype=np.uint8), (count, 1))
    return Series(kind=kind, starts_ms=ends - 899_000, ends_ms=ends, values=values, units=units)


async def update(kruize: Kruize, name: str, end: str) -> Any:
    answer = await kruize.post("/updateRecommendations", experiment_name=name, interval_end_time=end)
    assert answer.status == 201, answer.body
    (item,) = answer.json
    return item


async def test_fifteen_days_that_were_stored_give_what_they_give_in_memory(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()), namespace_experiment(other := new_name()))
    await kruize.store([record(name, number) for number in range(DAYS_15)])
    await kruize.store([namespace_record(other, number) for number in range(DAYS_15)])
    item = await update(kruize, name, end_of(DAYS_15 - 1))
    expected = recommend(series("container", DAYS_15))
    assert {key: value for key, value in item.items() if key != "kubernetes_objects"} == {
        "cluster_name": "12345;1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c",
        "experiment_type": "container",
        "version": "v2.0",
        "experiment_name": name,
    }
    assert item["kubernetes_objects"] == [
        {
            "type": "deployment",
            "name": "front",
            "namespace": "shop",
            "containers": [
                {
                    "container_image_name": "quay.io/web",
                    "container_name": "web",
                    "recommendations": expected,
                }
            ],
        }
    ]
    terms = expected["data"][end_of(DAYS_15 - 1)]["recommendation_terms"]
    assert all("recommendation_engines" in term for term in terms.values())
    item = await update(kruize, other, end_of(DAYS_15 - 1))
    assert item["experiment_type"] == "namespace"
    assert item["kubernetes_objects"] == [
        {
            "namespace": "shop",
            "containers": [],
            "namespaces": {
                "namespace": "shop",
                "recommendations": recommend(series("namespace", DAYS_15)),
            },
        }
    ]


async def test_only_the_fifteen_days_before_are_read(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    await kruize.store([record(name, number) for number in range(0, 97 * 20, 97)])
    end = FIRST_END + timedelta(days=15)
    await update(kruize, name, timestamp(end))
    (row,) = await kruize.fetch("select interval_end_time as at from kruize_recommendations")
    # The newest that ends before; asked for as of a time without results, the answer is of the time with.
    assert row["at"] == FIRST_END + timedelta(minutes=15 * 97 * 14)
    answer = await kruize.post(
        "/updateRecommendations", experiment_name=name, interval_end_time="2026-10-31T00:00:00.000Z"
    )
    assert answer.said == (
        400,
        "No metrics available from 2026-10-16T00:00:00.000Z to 2026-10-31T00:00:00.000Z",
    )


async def test_what_is_asked_wrongly_is_refused(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    end = end_of(0)
    bad = 'Given timestamp - " {} " is not a valid timestamp format'
    cases: list[tuple[dict[str, str], str]] = [
        ({}, "experiment_name is mandatory, interval_end_time is mandatory"),
        ({"experiment_name": "", "interval_end_time": end}, "experiment_name is mandatory"),
        ({"experiment_name": name}, "interval_end_time is mandatory"),
        ({"experiment_name": name, "interval_end_time": "today"}, bad.format("today")),
        (
            {"experiment_name": name, "interval_end_time": "2026-02-30T00:00:00.000Z"},
            bad.format("2026-02-30T00:00:00.000Z"),
        ),
        (
            {"experiment_name": "nobody", "interval_end_time": end},
            "Not Found: experiment_name does not exist: nobody",
        ),
        (
            {"experiment_name": name, "interval_end_time": end},
            f"No metrics available from 2026-10-17T00:15:00.000Z to {end}",
        ),
        (
            {"experiment_name": name, "interval_end_time": "0001-01-01T00:00:00.000Z"},
            "No metrics available from 0001-01-01T00:00:00.000Z to 0001-01-16T00:00:00.000Z",
        ),
    ]
    for params, text in cases[:-1]:
        assert (await kruize.post("/updateRecommendations", **params)).said == (400, text)
    params, _ = cases[-1]
    assert (await kruize.post("/updateRecommendations", **params)).status == 400
    answer = await kruize.post("/generateRecommendations", experiment_name="nobody")
    assert answer.said == (400, "Not Found: experiment_name does not exist: nobody")
    assert (await kruize.post("/generateRecommendations")).said == (400, "experiment_name is mandatory")


async def test_too_little_data_is_an_answer_with_its_reason(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name(), "web", "idle"))
    await kruize.store([record(name)])
    item = await update(kruize, name, end_of(0))
    nothing = {
        "version": "1.0",
        "notifications": {
            "120001": {
                "type": "info",
                "message": "There is not enough data available to generate a recommendation.",
                "code": 120001,
            }
        },
        "data": {},
    }
    found = {
        each["container_name"]: each["recommendations"]
        for each in item["kubernetes_objects"][0]["containers"]
    }
    assert found == {"web": nothing, "idle": nothing}


async def test_an_interval_start_is_ignored(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    await kruize.store([record(name, number) for number in range(3)])
    answer = await kruize.post(
        "/updateRecommendations",
        experiment_name=name,
        interval_end_time=end_of(2),
        interval_start_time="whatever",
    )
    assert answer.json[0] == await update(kruize, name, end_of(2))


async def test_recommendations_can_be_listed_without_rm(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()), experiment(empty := new_name()))
    await kruize.store([record(name, number) for number in range(6)])
    earlier, later = [await update(kruize, name, end_of(number)) for number in (3, 5)]
    for params in ({}, {"rm": "true"}, {"latest": "true"}):
        listed = await kruize.get("/listRecommendations", experiment_name=f" {name} ", **params)
        assert (listed.status, listed.json) == (200, [later])
    listed = await kruize.get(
        "/listRecommendations", experiment_name=name, monitoring_end_time=f"{end_of(3)} "
    )
    assert listed.json == [earlier]
    (both,) = (await kruize.get("/listRecommendations", experiment_name=name, latest="false")).json
    data = both["kubernetes_objects"][0]["containers"][0]["recommendations"]["data"]
    assert set(data) == {end_of(3), end_of(5)}
    everything = (await kruize.get("/listRecommendations")).json
    assert {item["experiment_name"]: item for item in everything}[name] == later
    (container,) = {item["experiment_name"]: item for item in everything}[empty]["kubernetes_objects"][0][
        "containers"
    ]
    assert list(container["recommendations"]["notifications"]) == ["120001"]
    assert (await kruize.get("/listRecommendations", monitoring_end_time=end_of(3))).json == [earlier]


async def test_the_latest_recommendation_of_a_time_stands(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    await kruize.store([record(name, number) for number in (2, 3)])
    first = await update(kruize, name, end_of(3))
    await kruize.store([record(name, number) for number in (0, 1)])
    second = await update(kruize, name, end_of(3))
    assert first != second
    assert (await kruize.get("/listRecommendations", experiment_name=name, latest="false")).json == [second]


async def test_what_is_not_there_cannot_be_listed(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    invalid = 'Given timestamp - " now " is not a valid timestamp format'
    absent = f'Recommendation for timestamp - " {end_of(0)} " does not exist'
    cases = [
        ({"experiment_name": "nobody"}, 'Given experiment name - " nobody " is not valid'),
        ({"experiment_name": ""}, 'Given experiment name - "  " is not valid'),
        ({"experiment_name": name, "monitoring_end_time": "now"}, invalid),
        ({"monitoring_end_time": "now"}, invalid),
        ({"experiment_name": name, "monitoring_end_time": end_of(0)}, absent),
        ({"monitoring_end_time": end_of(0)}, absent),
    ]
    said = [(await kruize.get("/listRecommendations", **params)).said for params, _ in cases]
    assert said == [(400, text) for _, text in cases]


async def test_the_newest_result_is_the_default_time(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    assert re.match(
        "No metrics", (await kruize.post("/generateRecommendations", experiment_name=name)).said[1]
    )
    await kruize.store([record(name, number) for number in range(4)])
    answer = await kruize.post("/generateRecommendations", experiment_name=name)
    assert (answer.status, answer.json) == (201, [await update(kruize, name, end_of(3))])
    answer = await kruize.post("/generateRecommendations", experiment_name=name, interval_end_time=end_of(2))
    assert answer.json == [await update(kruize, name, end_of(2))]


async def test_a_threshold_of_the_experiment_counts(kruize: Kruize) -> None:
    names = [new_name(), new_name()]
    for name, threshold in zip(names, ("0.1", "1000"), strict=True):
        await kruize.create(experiment(name, recommendation_settings={"threshold": threshold}))
        await kruize.store([record(name, number) for number in range(4)])
    strict, loose = [await update(kruize, name, end_of(3)) for name in names]
    assert "323004" not in str(strict)
    assert "323004" in str(loose)


async def test_plots_can_be_switched_off(database: str) -> None:
    for plots in ("true", "false"):
        async with open_kruize(database, plots=plots) as kruize:
            await kruize.create(experiment(name := new_name()))
            await kruize.store([record(name, number) for number in range(4)])
            item = await update(kruize, name, end_of(3))
            assert ("plots_data" in str(item)) == (plots == "true")


async def test_a_restart_keeps_everything(database: str) -> None:
    async def everything(kruize: Kruize) -> list[Any]:
        params = {"results": "true", "recommendations": "true", "latest": "false"}
        return [
            (await kruize.get("/listExperiments", **params)).json,
            (await kruize.get("/listRecommendations")).json,
            (await kruize.get("/listPerformanceProfiles")).json,
        ]

    async with open_kruize(database) as kruize:
        await kruize.create(experiment(name := new_name()))
        await kruize.store([record(name, number) for number in range(4)])
        await update(kruize, name, end_of(3))
        before = await everything(kruize)
    async with open_kruize(database) as kruize:
        assert await everything(kruize) == before
        again = await kruize.post("/updateResults", [record(name, number) for number in range(4)])
        assert again.said == (400, "Out of a total of 4 records, 4 failed to save")


async def test_the_harness_sends_what_the_metrics_have() -> None:
    assert {metric.name for metric in (*CONTAINER_METRICS, *NAMESPACE_METRICS)} == {
        metric.name for metrics in METRICS.values() for metric in metrics
    }
