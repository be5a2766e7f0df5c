"""``/updateRecommendations`` and ``/generateRecommendations``: load, compute, store, answer."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from headrace.contracts.kruize import Code, timestamp
from headrace_services.kruize import metrics, packing
from headrace_services.kruize.experiments import Experiment
from headrace_services.kruize.notifications import notifications
from headrace_services.kruize.recommendations import VERSION, recommend
from headrace_services.kruize.refusals import NO_EXPERIMENT, Refused
from headrace_services.kruize.store import ResultStore

_WINDOW: Final = timedelta(days=15)
_LISTING_VERSION: Final = "v2.0"
# With more bytes the computation takes so long that a thread does it.
_MANY_BYTES: Final = 2 << 20


class Recommender:
    """Computes recommendations."""

    def __init__(self, results: ResultStore, *, plots: bool) -> None:
        self._results = results
        self._plots = plots

    async def at(self, name: str, until: datetime) -> bytes:
        """Compute and store the document for a time, and return it; raises `Refused`."""
        since = max(until, datetime.min.replace(tzinfo=UTC) + _WINDOW) - _WINDOW
        loaded = await self._results.load(name, since, until)
        if loaded is None:
            raise Refused(f"{NO_EXPERIMENT}{name}")
        experiment, chunks = loaded
        if not chunks:
            metrics.RECOMMENDATIONS.labels("no_metrics").inc()
            raise Refused(f"No metrics available from {timestamp(since)} to {timestamp(until)}")
        if len(chunks) > _MANY_BYTES:
            end, document = await asyncio.to_thread(self._computed, experiment, chunks)
        else:
            end, document = self._computed(experiment, chunks)
        await self._results.keep(experiment.id, end, document)
        return document

    async def latest(self, name: str) -> bytes:
        """Do the same for the newest result."""
        end = await self._results.newest_end(name)
        return await self.at(name, end or datetime.now(UTC))

    def _computed(self, experiment: Experiment, chunks: bytes) -> tuple[datetime, bytes]:
        with metrics.COMPUTE_SECONDS.time():
            series = packing.unpacked(experiment.experiment_type, chunks)
            found = {
                name: recommend(
                    series[number], threshold_percent=experiment.threshold_percent, plots=self._plots
                )
                for name, number in experiment.numbers.items()
                if number in series
            }
            document = orjson.dumps(shown(experiment, found))
        made = any(recommendations["data"] for recommendations in found.values())
        metrics.RECOMMENDATIONS.labels("made" if made else "not_enough_data").inc()
        newest = max(int(each.ends_ms[-1]) for each in series.values())
        return packing.moment_of(newest), document


def shown(experiment: Experiment, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return an item of a list of recommendations; a container without one gets the reason."""
    nothing = {"version": VERSION, "notifications": notifications([Code.NOT_ENOUGH_DATA]), "data": {}}
    if experiment.experiment_type == "namespace":
        name = str(experiment.namespace)
        kubernetes_object: dict[str, Any] = {
            "namespace": name,
            "containers": [],
            "namespaces": {"namespace": name, "recommendations": found.get(name, nothing)},
        }
    else:
        kubernetes_object = {
            "type": experiment.object_type,
            "name": experiment.object_name,
            "namespace": experiment.namespace,
            "containers": [
                ({} if image is None else {"container_image_name": image})
                | {"container_name": name, "recommendations": found.get(name, nothing)}
                for name, image in experiment.containers.items()
            ],
        }
    return {
        "cluster_name": experiment.cluster_name,
        "experiment_type": experiment.experiment_type,
        "version": _LISTING_VERSION,
        "experiment_name": experiment.experiment_name,
        "kubernetes_objects": [kubernetes_object],
    }


def merged(documents: list[str]) -> dict[str, Any]:
    """Merge an experiment's documents, given newest first: the newest, with the data of the older ones."""
    newest: dict[str, Any] = orjson.loads(documents[0])
    data = {name: found.setdefault("data", {}) for name, found in by_container(newest).items()}
    for document in documents[1:]:
        for name, found in by_container(orjson.loads(document)).items():
            if name in data:
                data[name].update({end: item for end, item in found["data"].items() if end not in data[name]})
    return newest


def by_container(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the recommendations in a document, by the name of the container or namespace."""
    (kubernetes_object,) = document["kubernetes_objects"]
    if "namespaces" in kubernetes_object:
        found = kubernetes_object["namespaces"]
        return {found["namespace"]: found["recommendations"]}
    return {item["container_name"]: item["recommendations"] for item in kubernetes_object["containers"]}
