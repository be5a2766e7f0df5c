"""Writes users' decisions about rules: one statement each, with a natural key, so that repeating changes nothing.

A cluster's row in `report` names its organisation. It is locked while something about the cluster is written, so that
nothing is written for an organisation that just lost the cluster.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from headrace.database.pool import Connection, Database
from headrace_services.results_aggregator.metrics import FEEDBACK, RATINGS, measured_query
from headrace_services.results_aggregator.parameters import Rule

# $1 cluster, $2 organisation, $3 the rule as named, $4 its key, $5 both spellings; more columns from $6 on.
_OF_CLUSTER: Final = """
with owner as (select cluster, org_id from report where cluster = $1 and org_id = $2 for share),
    other as (
        delete from {table} using owner
        where cluster_id = cluster and rule_id = any($5) and rule_id <> $3 and error_key = $4 {same}
    )
insert into {table} (cluster_id, org_id, rule_id, error_key, {columns})
select cluster, org_id, $3, $4, {values} from owner
on conflict ({key}) do update set org_id = excluded.org_id, {updates}
"""


def _of_cluster(
    table: str, columns: Mapping[str, str], *, key: str, updated: Sequence[str], same: str = ""
) -> str:
    """An upsert for the cluster's owner only; another spelling of the rule makes way."""
    return _OF_CLUSTER.format(
        table=table,
        columns=", ".join(columns),
        values=", ".join(columns.values()),
        key=key,
        updates=", ".join(f"{name} = excluded.{name}" for name in updated),
        same=same,
    )


_TOGGLE: Final = _of_cluster(
    "cluster_rule_toggle",
    {
        "disabled": "$6::int",
        "disabled_at": "case $6::int when 1 then now() end",
        "enabled_at": "case $6::int when 0 then now() end",
        "updated_at": "now()",
    },
    key="cluster_id, rule_id, error_key",
    updated=("disabled", "disabled_at", "enabled_at", "updated_at"),
)
_BY_USER: Final = {"user_id": "$6", "message": "$7", "added_at": "now()", "updated_at": "now()"}
_VOTE: Final = _of_cluster(
    "cluster_rule_user_feedback",
    _BY_USER | {"user_vote": "$8::int"},
    key="cluster_id, rule_id, user_id, error_key",
    updated=("user_vote", "message", "updated_at"),
    same="and user_id = $6",
)
_DISABLE_FEEDBACK: Final = _of_cluster(
    "cluster_user_rule_disable_feedback",
    _BY_USER,
    key="cluster_id, user_id, rule_id, error_key",
    updated=("message", "updated_at"),
    same="and user_id = $6",
)
_DISABLE: Final = """
with other as (delete from rule_disable where org_id = $1 and rule_id = any($4) and rule_id <> $2 and error_key = $3)
insert into rule_disable (org_id, rule_id, error_key, justification, created_at) values ($1, $2, $3, $5, now())
on conflict (org_id, rule_id, error_key) do update
set justification = excluded.justification, created_at = excluded.created_at
"""
_ENABLE: Final = "delete from rule_disable where org_id = $1 and rule_id = any($2) and error_key = $3"
_UPDATE: Final = """
update rule_disable set justification = $4, updated_at = now()
where org_id = $1 and rule_id = any($2) and error_key = $3
"""
_RATE: Final = """
with other as (
    delete from advisor_ratings where org_id = $1 and rule_fqdn = any($4) and rule_fqdn <> $2 and error_key = $3
)
insert into advisor_ratings (org_id, rule_fqdn, error_key, rule_id, rating, rated_at, last_updated_at)
values ($1, $2, $3, $5, $6, now(), now())
on conflict (org_id, rule_fqdn, error_key) do update
set rating = excluded.rating, rule_id = excluded.rule_id, last_updated_at = excluded.last_updated_at
"""

# By owner too: a cluster whose reports were forgotten still has what its users decided.
_FOREIGN: Final = """
with held as (select org_id from report where cluster = any($1::uuid[]) for update)
select exists (select from held where org_id <> $2)
    or exists (select from dvo.cluster where cluster_id = any($1::uuid[]) and org_id <> $2)
    or exists (select from cluster_owner where cluster_id = any($1::uuid[]::text[]) and org_id <> $2::bigint::text)
"""
# The clusters' reports first: whoever stores one waits there.
_OF_CLUSTERS: Final = {
    "report": "cluster",
    "rule_hit": "cluster_id",
    "recommendation": "cluster_id",
    "report_info": "cluster_id",
    "cluster_rule_toggle": "cluster_id",
    "cluster_rule_user_feedback": "cluster_id",
    "cluster_user_rule_disable_feedback": "cluster_id",
    "dvo.cluster": "cluster_id",
    "dvo.dvo_report": "cluster_id",
}
_OF_ORGANIZATIONS: Final = (*_OF_CLUSTERS, "rule_disable", "advisor_ratings", "decision_set_aside")


class Decisions:
    """The writes of the REST API. False: nothing to write about. Raises `Retryable` while PostgreSQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def toggle(self, org_id: int, cluster: str, rule: Rule, *, disabled: bool) -> bool:
        """Disable or enable a rule for a cluster of the organisation."""
        return await self._write("toggle", _TOGGLE, *_about(org_id, cluster, rule), int(disabled))

    async def vote(
        self, org_id: int, cluster: str, rule: Rule, user_id: str, vote: int, message: str
    ) -> bool:
        """Like (1), dislike (-1) or neither (0)."""
        stored = await self._write("vote", _VOTE, *_about(org_id, cluster, rule), user_id, message, vote)
        FEEDBACK.inc(stored)
        return stored

    async def say_why_disabled(
        self, org_id: int, cluster: str, rule: Rule, user_id: str, message: str
    ) -> bool:
        """A user's reason for disabling a rule for a cluster."""
        stored = await self._write(
            "disable_feedback", _DISABLE_FEEDBACK, *_about(org_id, cluster, rule), user_id, message
        )
        FEEDBACK.inc(stored)
        return stored

    async def disable(self, org_id: int, rule: Rule, justification: str) -> None:
        """Disable a rule for the whole organisation."""
        await self._write("disable", _DISABLE, org_id, rule.fqdn, rule.key, rule.spellings, justification)

    async def enable(self, org_id: int, rule: Rule) -> None:
        """Enable it again."""
        await self._write("enable", _ENABLE, org_id, rule.spellings, rule.key)

    async def justify(self, org_id: int, rule: Rule, justification: str) -> bool:
        """Another reason for a rule that is disabled; False: it is not."""
        return await self._write("justify", _UPDATE, org_id, rule.spellings, rule.key, justification)

    async def rate(self, org_id: int, rule: Rule, rating: int) -> None:
        """The organisation's rating of a rule: -1, 0 or 1."""
        await self._write(
            "rate", _RATE, org_id, rule.fqdn, rule.key, rule.spellings, f"{rule.fqdn}|{rule.key}", rating
        )
        RATINGS.inc()

    async def delete_clusters(self, clusters: Sequence[str], *, caller: int | None) -> bool:
        """Forget everything about clusters; False: some are another's than the caller's."""
        async with self._database.transaction() as connection:
            if caller is not None and await connection.fetchval(_FOREIGN, clusters, caller):
                return False
            for table, column in _OF_CLUSTERS.items():
                await _delete(connection, table, f"{column} = any($1::uuid[])", clusters)
        return True

    async def delete_organizations(self, org_ids: Sequence[int]) -> None:
        """Forget everything about organisations."""
        async with self._database.transaction() as connection:
            for table in _OF_ORGANIZATIONS:
                await _delete(connection, table, "org_id = any($1::bigint[])", org_ids)

    async def _write(self, name: str, statement: str, *arguments: object) -> bool:
        with measured_query(name):
            tag = await self._database.execute(statement, *arguments)
        return not tag.endswith(" 0")


def _about(org_id: int, cluster: str, rule: Rule) -> tuple[object, ...]:
    return cluster, org_id, rule.fqdn, rule.key, rule.spellings


async def _delete(connection: Connection, table: str, condition: str, values: Sequence[object]) -> None:
    with measured_query("delete"):
        await connection.execute(f"delete from {table} where {condition}", values)  # noqa: S608 -- ours
