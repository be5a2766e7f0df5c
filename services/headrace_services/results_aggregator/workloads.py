"""Recommendations for workloads, turned from a list by recommendation into rows by namespace. No I/O."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.contracts.message import Unjudged, json_text, shown
from headrace.contracts.rules import WorkloadsResult
from headrace.runtime.errors import Poison
from headrace_services.results_aggregator.messages import Origin, judged
from headrace_services.results_aggregator.reports import name

_SUFFIX: Final = ".recommendation"


@dataclass(slots=True)
class Namespace:
    """One namespace's part of a message."""

    name: str
    recommendations: list[dict[str, Any]] = field(default_factory=list)
    objects: set[str] = field(default_factory=set)
    rule_hits: Counter[str] = field(default_factory=Counter)

    @property
    def report(self) -> str:
        """The message's contents with nothing but this namespace in them."""
        return json_text({"workload_recommendations": self.recommendations})

    @property
    def rule_hits_count(self) -> str:
        """JSON: how often each rule hits here."""
        return json_text(self.rule_hits)


@dataclass(frozen=True, slots=True)
class ClusterWorkloads:
    """What is stored of one message; namespaces by their uid."""

    origin: Origin
    namespaces: dict[str, Namespace]


def cluster_workloads(message: Unjudged) -> ClusterWorkloads:
    """Check and take apart; raises `Poison`."""
    result = judged(message, WorkloadsResult)
    origin, recommendations = Origin.of(result), result.Metrics.get("workload_recommendations")
    if recommendations is None:
        raise Poison("improper report structure, missing key(s) with name '[workload_recommendations]'")
    namespaces: dict[str, Namespace] = {}
    for number, entry in enumerate(_objects("workload_recommendations", recommendations)):
        where = f"workload_recommendations[{number}]"
        rule = name(f"{where}.component", entry.get("component")).removesuffix(_SUFFIX)
        rule_id = f"{rule}|{name(f'{where}.key', entry.get('key'))}"
        for uid, workloads in _by_namespace(where, entry.get("workloads")).items():
            namespace = namespaces.setdefault(uid, Namespace(str(workloads[0].get("namespace") or "")))
            namespace.recommendations.append({**entry, "workloads": workloads})
            namespace.objects.update(str(workload.get("uid") or "") for workload in workloads)
            namespace.rule_hits[rule_id] += len(workloads)
    for uid, namespace in namespaces.items():
        if namespace.name:
            name(f"the name of namespace {uid}", namespace.name)
    return ClusterWorkloads(origin, namespaces)


def _by_namespace(where: str, workloads: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for number, workload in enumerate(_objects(f"{where}.workloads", workloads or [])):
        uid = name(f"{where}.workloads[{number}].namespace_uid", workload.get("namespace_uid"))
        found.setdefault(uid, []).append(workload)
    return found


def _objects(where: str, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Poison(f"{where}: got {shown(value)}, expected an array of objects")
    return value
