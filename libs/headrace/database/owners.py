"""The owners of clusters: the organisation that reported a cluster first, until an operator changes it.

A sender states a cluster's id, and nothing proves that it speaks for that cluster. Therefore each database
that stores something under a cluster has a table of owners, created by its migrations (``*_owners.sql``), and
checks it in the transaction of the effect: ``claim_cluster`` claims a cluster without an owner and returns
whether the cluster belongs to the sender. Only ``move_cluster``, which an operator runs, gives a cluster to
another organisation.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from headrace.contracts.clusters import owned_name
from headrace.database.pool import Connection, Database
from headrace.runtime.errors import Rejected
from headrace.runtime.logging import get_logger
from headrace.runtime.metrics import FOREIGN_CLUSTERS

_log = get_logger(__name__)

_LIST: Final = """
select cluster_id, o.org_id, o.since,
    array(select r.org_id from cluster_refusal r where r.cluster_id = o.cluster_id order by last_at desc) as refused
from cluster_owner o where $1::text is null or cluster_id = $1 order by cluster_id
"""


class ForeignCluster(Rejected):
    """The cluster belongs to another organisation, which the sender does not learn."""


@dataclass(frozen=True)
class Owned:
    """A cluster, its owner, and the organisations that were refused, latest first."""

    cluster_id: str
    org_id: str
    since: datetime
    refused: list[str]


def foreign(service: str, cluster_id: str, org_id: str) -> ForeignCluster:
    """Count and log a refusal; return the exception to raise after the transaction has ended."""
    FOREIGN_CLUSTERS.labels(service).inc()
    _log.warning("foreign_cluster_refused", service=service, cluster=cluster_id, org_id=org_id)
    return ForeignCluster(f"the cluster {cluster_id} belongs to another organisation")


async def owned_clusters(database: Database, cluster_id: str | None = None) -> list[Owned]:
    """Return every cluster of a database, or one, with its owner."""
    name = None if cluster_id is None else owned_name(cluster_id)
    return [Owned(**dict(row)) for row in await database.fetch(_LIST, name)]


async def move_cluster(connection: Connection, cluster_id: str, org_id: str) -> str | None:
    """Give a cluster to an organisation; return its previous owner, None if it had none."""
    before: str | None = await connection.fetchval(
        "select move_cluster($1, $2)", owned_name(cluster_id), org_id
    )
    return before
