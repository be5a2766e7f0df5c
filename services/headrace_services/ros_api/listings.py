"""What can be listed: the columns, filters and orders of each collection, shared by SQL, checks and document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from headrace.ros.columns import CURRENT_COLUMNS, PERCENTAGE_COLUMNS

WORKLOAD_TYPES: Final = (
    "daemonset", "deployment", "deploymentconfig", "replicaset", "replicationcontroller", "statefulset"
)  # fmt: skip

FilterKind = Literal["cluster", "text", "type", "array"]


@dataclass(frozen=True)
class Filter:
    """A filter parameter: the column it looks at, and how."""

    column: str
    kind: FilterKind = "text"


@dataclass(frozen=True)
class Collection:
    """One collection; every text in it is SQL of ours.

    ``moment`` is the column of ``start_date`` and ``end_date``; ``tenant`` compares every org id the rows carry;
    ``detail_memory`` is the unit of a single item's memory.
    """

    columns: str
    tables: str
    id: str
    tenant: tuple[str, ...]
    project: str
    moment: str
    filters: Mapping[str, Filter]
    sorts: Mapping[str, str]
    types: tuple[str, ...] = WORKLOAD_TYPES
    default_sort: str = "last_reported"
    cluster: str = "lower(c.cluster_uuid)"
    detail_memory: str = "MiB"


_CLUSTER_COLUMNS: Final = "c.cluster_uuid, c.cluster_alias, c.source_id, c.last_reported_at as last_reported"
_CLUSTER_TABLES: Final = " join clusters c on c.id = w.cluster_id join rh_accounts a on a.id = c.tenant_id"
_WORKLOAD_COLUMNS: Final = (
    "coalesce(w.workload_name, '') as workload, coalesce(w.workload_type::text, '') as workload_type"
)
_CLUSTER: Final = Filter("c.cluster_alias", "cluster")
_WORKLOAD_FILTERS: Final = {
    "cluster": _CLUSTER,
    "project": Filter("w.namespace"),
    "workload": Filter("w.workload_name"),
    "workload_type": Filter("w.workload_type::text", "type"),
}
_CLUSTER_SORTS: Final = {"cluster": "c.cluster_alias", "last_reported": "c.last_reported_at"}
_WORKLOAD_SORTS: Final = {
    "workload_type": "w.workload_type",
    "workload": "w.workload_name",
    "project": "w.namespace",
}


def _amount_sorts(table: str) -> dict[str, str]:
    names = (*CURRENT_COLUMNS, *PERCENTAGE_COLUMNS)
    return {name.removesuffix("_pct"): f"{table}.{name}" for name in names}


def _stored(table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in ("id", "recommendations", *PERCENTAGE_COLUMNS))


CONTAINERS: Final = Collection(
    columns=f"{_stored('r')}, r.container_name as container, w.namespace as project, {_WORKLOAD_COLUMNS},"
    f" {_CLUSTER_COLUMNS}",
    tables=f"recommendation_sets r join workloads w on w.id = r.workload_id{_CLUSTER_TABLES}",
    id="r.id",
    tenant=("a.org_id", "w.org_id"),
    project="w.namespace",
    moment="r.monitoring_end_time",
    filters=_WORKLOAD_FILTERS | {"container": Filter("r.container_name")},
    sorts=_CLUSTER_SORTS | _WORKLOAD_SORTS | {"container": "r.container_name"} | _amount_sorts("r"),
)
NAMESPACES: Final = Collection(
    columns=f"{_stored('n')}, n.namespace_name as project, {_CLUSTER_COLUMNS}",
    tables=f"namespace_recommendation_sets n join workloads w on w.id = n.workload_id{_CLUSTER_TABLES}",
    id="n.id",
    tenant=("a.org_id", "w.org_id", "n.org_id"),
    project="n.namespace_name",
    moment="n.monitoring_end_time",
    filters={"cluster": _CLUSTER, "project": Filter("n.namespace_name")},
    sorts=_CLUSTER_SORTS | {"project": "n.namespace_name"} | _amount_sorts("n"),
    detail_memory="bytes",
)
WORKLOADS: Final = Collection(
    columns="w.id, w.experiment_name, w.namespace as project, coalesce(w.containers, '{}') as containers,"
    f" w.metrics_upload_at, {_WORKLOAD_COLUMNS}, {_CLUSTER_COLUMNS}",
    tables=f"workloads w{_CLUSTER_TABLES}",
    id="w.id",
    tenant=("a.org_id", "w.org_id"),
    project="w.namespace",
    moment="w.metrics_upload_at",
    filters=_WORKLOAD_FILTERS | {"container": Filter("w.containers", "array")},
    sorts=_CLUSTER_SORTS | _WORKLOAD_SORTS | {"metrics_upload_at": "w.metrics_upload_at"},
    types=(*WORKLOAD_TYPES, "namespace"),
)
