"""Kruize in this process on a database of its own, and what a client sends it."""

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from headrace.contracts.kruize import (
    CONTAINER_METRICS,
    NAMESPACE_METRICS,
    PERFORMANCE_PROFILE,
    Metric,
    timestamp,
)
from headrace.runtime.settings import EngineSettings
from tests import answers
from tests.service import Running, connected, open_client, own, running, url_of

FIRST_END = datetime(2026, 11, 1, 0, 15, tzinfo=UTC)


class Answer(answers.Answer):
    @property
    def said(self) -> tuple[int, str]:
        """Status and message; the body's own code must be the same."""
        assert self.json["httpcode"] == self.status
        assert self.json["documentationLink"] == ""
        assert self.json["status"] == ("SUCCESS" if self.status < 400 else "ERROR")
        return self.status, self.json["message"]


@dataclass
class Kruize(Running[Answer]):
    answer = Answer

    database: str

    async def call(self, method: str, path: str, body: Any = None, **params: str) -> Answer:
        return await self.send_request(method, path, body=body, params=params)

    async def get(self, path: str, **params: str) -> Answer:
        return await self.call("GET", path, **params)

    async def post(self, path: str, body: Any = None, **params: str) -> Answer:
        return await self.call("POST", path, body, **params)

    async def create(self, *experiments: dict[str, Any]) -> None:
        """The profile and these."""
        assert (await self.post("/createPerformanceProfile", profile())).status in {201, 409}
        for item in experiments:
            answer = await self.post("/createExperiment", [item])
            assert answer.status == 201, answer.body

    async def store(self, records: list[dict[str, Any]]) -> None:
        for at in range(0, len(records), 100):
            answer = await self.post("/updateResults", records[at : at + 100])
            assert answer.status == 201, answer.body

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        async with connected(self.database) as connection:
            return await connection.fetch(statement, *arguments)


@asynccontextmanager
async def open_kruize(database: str, **environment: str) -> AsyncIterator[Kruize]:
    """The service as `headrace serve` runs it; ``environment`` are its variables."""
    server, _, name = database.rpartition("/")
    engines = EngineSettings(postgres=f"{server}/postgres")
    async with (
        running([own("kruize", database=name)], engines, environment=environment) as host,
        open_client(limit=0) as session,
    ):
        yield Kruize(url_of(host), session, database)


def new_name() -> str:
    """An experiment's name of the form that clients use."""
    return f"12345|7|{uuid.uuid4()}|shop|deployment|front"


def profile(version: float = 2.0, name: str = PERFORMANCE_PROFILE) -> dict[str, Any]:
    variables = [
        {
            "name": metric.name,
            "datasource": "prometheus",
            "value_type": "double",
            "kubernetes_object": kind,
            "aggregation_functions": [
                {"function": value, "query": f"{value}({metric.column})"} for value in metric.values
            ],
        }
        for kind, metrics in (("container", CONTAINER_METRICS), ("namespace", NAMESPACE_METRICS))
        for metric in metrics
    ]
    return {
        "name": name,
        "profile_version": version,
        "k8s_type": "openshift",
        "slo": {
            "slo_class": "resource_usage",
            "direction": "minimize",
            "objective_function": {"function_type": "source"},
            "function_variables": variables,
        },
    }


def experiment(name: str, *containers: str, **fields: Any) -> dict[str, Any]:
    """One of a deployment; a field given as None is left out."""
    made = {
        "version": "1.0",
        "experiment_name": name,
        "cluster_name": "12345;1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c",
        "performance_profile": PERFORMANCE_PROFILE,
        "mode": "monitor",
        "target_cluster": "remote",
        "kubernetes_objects": [
            {
                "type": "deployment",
                "name": "front",
                "namespace": "shop",
                "containers": [
                    {"container_image_name": f"quay.io/{each}", "container_name": each, "recommendations": {}}
                    for each in containers or ("web",)
                ],
            }
        ],
        "trial_settings": {"measurement_duration": "15min"},
        "recommendation_settings": {"threshold": "0.1"},
    } | fields
    return {key: value for key, value in made.items() if value is not None}


def namespace_experiment(name: str, **fields: Any) -> dict[str, Any]:
    objects = [{"namespaces": {"namespace": "shop"}}]
    return experiment(name, **({"experiment_type": "namespace", "kubernetes_objects": objects} | fields))


def amounts(metric: Metric, number: int) -> dict[str, str]:
    """Values that differ from interval to interval, as decimal texts."""
    scale = 1.0 if metric.unit == "cores" else 1e8 if metric.unit == "bytes" else 3.0
    base = scale * (0.2 + (number * 37 % 101) / 100)
    factors = {"min": 0.5, "avg": 0.8, "max": 1.25, "sum": 1.6}
    return {value: f"{base * factors[value]:.6f}" for value in metric.values}


def measured(metrics: Iterable[Metric], number: int = 0, **changed: Any) -> list[dict[str, Any]]:
    """A metrics array; ``changed`` has aggregation_info by metric, None leaves the metric out."""
    found = []
    for metric in metrics:
        unit = {"format": metric.unit} if metric.unit else {}
        info = changed.get(metric.name, amounts(metric, number) | unit)
        if info is not None:
            found.append({"name": metric.name, "results": {"aggregation_info": info}})
    return found


def record(
    name: str, number: int = 0, *containers: str, changed: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """Interval ``number`` of a deployment's containers."""
    end = FIRST_END + timedelta(minutes=15 * number)
    return {
        "version": "1.0",
        "experiment_name": name,
        "interval_start_time": timestamp(end - timedelta(seconds=899)),
        "interval_end_time": timestamp(end),
        "kubernetes_objects": [
            {
                "type": "deployment",
                "name": "front",
                "namespace": "shop",
                "containers": [
                    {
                        "container_image_name": f"quay.io/{each}",
                        "container_name": each,
                        "metrics": measured(CONTAINER_METRICS, number, **(changed or {})),
                    }
                    for each in containers or ("web",)
                ],
            }
        ],
    } | fields


def namespace_record(name: str, number: int = 0, changed: dict[str, Any] | None = None) -> dict[str, Any]:
    metrics = measured(NAMESPACE_METRICS, number, **(changed or {}))
    return record(
        name, number, kubernetes_objects=[{"namespaces": {"namespace": "shop", "metrics": metrics}}]
    )


def end_of(number: int) -> str:
    return timestamp(FIRST_END + timedelta(minutes=15 * number))
