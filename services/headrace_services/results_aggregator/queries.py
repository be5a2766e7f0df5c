"""The reads of the REST API. Every statement names the organisation, so that no client reads another's rows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from headrace.database.pool import Database, Record
from headrace_services.results_aggregator.metrics import measured_query
from headrace_services.results_aggregator.parameters import Rule

# A hit is told by its component, `.report` included; what users decided may name it with or without.
_SPELLINGS: Final = (
    r"""(h.rule_fqdn, regexp_replace(h.rule_fqdn, '\.report$', ''), h.rule_fqdn || '.report')"""
)
_HITS: Final = f"""
select r.last_checked_at, r.gathered_at, h.rule_fqdn, h.error_key, h.template_data, h.created_at,
    t.disabled_at, f.message, v.user_vote
from report r
left join rule_hit h on h.org_id = r.org_id and h.cluster_id = r.cluster
left join lateral (
    select disabled, disabled_at from cluster_rule_toggle
    where cluster_id = h.cluster_id and org_id = r.org_id and error_key = h.error_key and rule_id in {_SPELLINGS}
    order by updated_at desc limit 1
) t on t.disabled = 1
left join lateral (
    select message from cluster_user_rule_disable_feedback
    where cluster_id = h.cluster_id and org_id = r.org_id and user_id = $3 and error_key = h.error_key
        and rule_id in {_SPELLINGS}
    order by updated_at desc limit 1
) f on true
left join lateral (
    select user_vote from cluster_rule_user_feedback
    where cluster_id = h.cluster_id and org_id = r.org_id and user_id = $3 and error_key = h.error_key
        and rule_id in {_SPELLINGS}
    order by updated_at desc limit 1
) v on true
where r.org_id = $1 and r.cluster = $2
"""  # noqa: S608 -- ours
_REPORT: Final = _HITS + " order by h.rule_fqdn, h.error_key"
_RULE: Final = _HITS + " and h.rule_fqdn = any($4) and h.error_key = $5"

_REPORT_INFO: Final = """
select last_checked_at, reported_at,
    (select count(*) from rule_hit h where h.org_id = r.org_id and h.cluster_id = r.cluster) as hits
from report r where org_id = $1 and cluster = $2
"""
_CLUSTERS: Final = "select cluster::text from report where org_id = $1 and reported_at >= $2 order by cluster"
_ORGANIZATIONS: Final = """
select distinct org_id from report where $1::bigint is null or org_id = $1 order by org_id
"""
_OWNER: Final = "select org_id from report where cluster = $1"
_FOREIGN_AND_BYTES: Final = """
select count(*) filter (where org_id <> $1) as foreign_clusters, coalesce(sum(octet_length(report)), 0) as bytes
from report where cluster = any($2::uuid[])
"""
_REPORTS: Final = "select cluster::text, report from report where org_id = $1 and cluster = any($2::uuid[])"
_RECOMMENDATIONS: Final = """
select rule_id, array_agg(cluster_id::text order by cluster_id) as clusters from recommendation
where org_id = $1 and cluster_id = any($2::uuid[]) group by rule_id order by rule_id
"""
_CLUSTER_RECOMMENDATIONS: Final = """
select r.cluster::text, r.last_checked_at, i.version_info, array(
    select rule_id from recommendation where org_id = r.org_id and cluster_id = r.cluster order by rule_id
) as rules
from report r left join report_info i on i.org_id = r.org_id and i.cluster_id = r.cluster
where r.org_id = $1 and r.cluster = any($2::uuid[]) order by r.cluster
"""
_CLUSTERS_DETAIL: Final = """
select c.cluster_id::text as cluster, c.created_at, c.impacted_since, i.version_info
from recommendation c left join report_info i on i.org_id = c.org_id and i.cluster_id = c.cluster_id
where c.org_id = $1 and c.rule_id = $2 and ($3::uuid[] is null or c.cluster_id = any($3))
order by c.cluster_id
"""
_DISABLED: Final = """
select cluster_id::text, rule_id, error_key, disabled, disabled_at, enabled_at, updated_at from cluster_rule_toggle
where org_id = $1 and disabled = 1 and ($2::uuid[] is null or cluster_id = any($2))
order by cluster_id, rule_id, error_key
"""
_DISABLED_CLUSTERS: Final = """
select t.cluster_id::text, t.disabled_at, coalesce(f.message, '') as justification
from cluster_rule_toggle t left join lateral (
    select message from cluster_user_rule_disable_feedback f
    where f.org_id = t.org_id and f.cluster_id = t.cluster_id and f.rule_id = any($2) and f.error_key = t.error_key
    order by updated_at desc limit 1
) f on true
where t.org_id = $1 and t.rule_id = any($2) and t.error_key = $3 and t.disabled = 1
order by t.disabled_at desc, t.cluster_id
"""
_VOTE: Final = """
select user_vote from cluster_rule_user_feedback
where org_id = $1 and cluster_id = $2 and rule_id = any($3) and error_key = $4 and user_id = $5
order by updated_at desc limit 1
"""
# Of every organisation where nobody has to say whose request it is.
_REASONS: Final = """
select cluster_id::text, rule_id, error_key, message, added_at, updated_at from cluster_user_rule_disable_feedback
where ($1::bigint is null or org_id = $1) and user_id = $2 order by cluster_id, rule_id, error_key
"""
_DISABLED_SYSTEM_WIDE: Final = """
select org_id, coalesce(user_id, '') as user_id, rule_id, error_key, justification, created_at, updated_at
from rule_disable
where org_id = $1 and ($2::text[] is null or rule_id = any($2)) and ($3::text is null or error_key = $3)
order by rule_id, error_key
"""
_RATING: Final = """
select rule_id, rating from advisor_ratings where org_id = $1 and rule_fqdn = any($2) and error_key = $3
order by last_updated_at desc limit 1
"""
_WORKLOADS: Final = """
select cluster_id::text, namespace_id, namespace_name, recommendations, objects, reported_at, last_checked_at,
    rule_hits_count::text
from dvo.dvo_report where org_id = $1 and ($2::uuid[] is null or cluster_id = any($2))
order by cluster_id, namespace_id
"""
_NAMESPACE: Final = """
select cluster_id::text, namespace_id, namespace_name, recommendations, objects, reported_at, last_checked_at, report
from dvo.dvo_report where org_id = $1 and cluster_id = $2 and namespace_id = $3
"""
# A cluster's hits of rules that neither the cluster nor the organisation has disabled.
_ENABLED_HITS: Final = rf"""
from rule_hit h where h.org_id = r.org_id and h.cluster_id = r.cluster
    and not exists (
        select from cluster_rule_toggle t where t.cluster_id = h.cluster_id and t.org_id = h.org_id
            and t.error_key = h.error_key and t.disabled = 1 and t.rule_id in {_SPELLINGS}
    )
    and not exists (
        select from rule_disable d
        where d.org_id = h.org_id and d.error_key = h.error_key and d.rule_id in {_SPELLINGS}
    )
"""  # noqa: S608 -- ours
_LISTED: Final = f"""
select r.cluster::text, r.org_id, r.reported_at, r.last_checked_at, r.gathered_at, r.request_id, i.version_info,
    array(select h.rule_fqdn || '|' || h.error_key {_ENABLED_HITS}) as hits
from report r left join report_info i on i.cluster_id = r.cluster
where r.org_id = $1 and r.cluster between $2 and $3 and (r.reported_at, r.cluster) < ($4, $5)
order by r.reported_at desc, r.cluster desc limit $6
"""  # noqa: S608 -- ours
_DESCRIBED: Final = """
select r.cluster::text, r.org_id, r.reported_at, r.last_checked_at, r.gathered_at, r.request_id, r.report,
    i.version_info
from report r left join report_info i on i.cluster_id = r.cluster
where r.org_id = $1 and r.cluster = $2
"""
_OF_REQUEST: Final = f"""
select r.cluster::text, r.request_id, r.last_checked_at, (select count(*) {_ENABLED_HITS}) as hits
from report r where r.org_id = $1 and r.request_id = $2 and r.request_id <> '' order by r.cluster limit 100
"""  # noqa: S608 -- ours
_LAST_MOMENT: Final = datetime(9999, 12, 31, tzinfo=UTC)
_LAST_UUID: Final = UUID(int=(1 << 128) - 1)


class Queries:
    """The reads of the REST API. Raises `Retryable` while PostgreSQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, org_id: int, cluster: str, user_id: str) -> list[Record]:
        """A row for each hit, with what was decided about it; one without a hit when there is none."""
        return await self._fetch("report", _REPORT, org_id, cluster, user_id)

    async def rule(self, org_id: int, cluster: str, user_id: str, rule: Rule) -> Record | None:
        """One hit."""
        rows = await self._fetch("rule", _RULE, org_id, cluster, user_id, rule.spellings, rule.key)
        return rows[0] if rows else None

    async def report_info(self, org_id: int, cluster: str) -> Record | None:
        """When, and how many hits."""
        return await self._fetch_row("report_info", _REPORT_INFO, org_id, cluster)

    async def clusters(self, org_id: int, reported_since: datetime) -> list[str]:
        """An organisation's clusters."""
        rows = await self._fetch("clusters", _CLUSTERS, org_id, reported_since)
        return [row["cluster"] for row in rows]

    async def listed_clusters(
        self, org_id: int, beginning: str, after: tuple[datetime, str] | None, limit: int
    ) -> list[Record]:
        """An organisation's clusters whose ids begin so, the newest report first, each with its enabled hits."""
        moment, cluster = (after[0], after[1]) if after else (_LAST_MOMENT, str(_LAST_UUID))
        lowest, highest = UUID(f"{beginning:0<32}"), UUID(f"{beginning:f<32}")
        return await self._fetch("listed_clusters", _LISTED, org_id, lowest, highest, moment, cluster, limit)

    async def described_cluster(self, org_id: int, cluster: str) -> Record | None:
        """One cluster with its report."""
        return await self._fetch_row("described_cluster", _DESCRIBED, org_id, cluster)

    async def reports_of_request(self, org_id: int, request_id: str) -> list[Record]:
        """The newest reports that came of a payload."""
        return await self._fetch("reports_of_request", _OF_REQUEST, org_id, request_id)

    async def organizations(self, only: int | None) -> list[int]:
        """Those that have a report, or just this one."""
        return [row["org_id"] for row in await self._fetch("organizations", _ORGANIZATIONS, only)]

    async def owner(self, cluster: str) -> int | None:
        """The organisation that has a cluster."""
        row = await self._fetch_row("owner", _OWNER, cluster)
        return row["org_id"] if row else None

    async def foreign_and_bytes(self, org_id: int, clusters: Sequence[str]) -> tuple[int, int]:
        """How many of the clusters are another's, and the size of all their reports."""
        row = await self._fetch_row("foreign_and_bytes", _FOREIGN_AND_BYTES, org_id, clusters)
        return (row["foreign_clusters"], int(row["bytes"])) if row else (0, 0)

    async def reports(self, org_id: int, clusters: Sequence[str]) -> dict[str, str]:
        """The reports as JSON."""
        rows = await self._fetch("reports", _REPORTS, org_id, clusters)
        return {row["cluster"]: row["report"] for row in rows}

    async def recommendations(self, org_id: int, clusters: Sequence[str]) -> dict[str, list[str]]:
        """Clusters by the rule that hits them."""
        rows = await self._fetch("recommendations", _RECOMMENDATIONS, org_id, clusters)
        return {row["rule_id"]: row["clusters"] for row in rows}

    async def cluster_recommendations(self, org_id: int, clusters: Sequence[str]) -> list[Record]:
        """Each cluster with the rules that hit it."""
        return await self._fetch("cluster_recommendations", _CLUSTER_RECOMMENDATIONS, org_id, clusters)

    async def clusters_detail(self, org_id: int, rule: Rule, clusters: Sequence[str] | None) -> list[Record]:
        """The clusters that a rule hits, of these or of all."""
        return await self._fetch("clusters_detail", _CLUSTERS_DETAIL, org_id, rule.rule_id, clusters)

    async def disabled(self, org_id: int, clusters: Sequence[str] | None) -> list[Record]:
        """Rules disabled for these clusters or all."""
        return await self._fetch("disabled", _DISABLED, org_id, clusters)

    async def disabled_clusters(self, org_id: int, rule: Rule) -> list[Record]:
        """The clusters for which a rule is disabled, each with the newest reason."""
        return await self._fetch("disabled_clusters", _DISABLED_CLUSTERS, org_id, rule.spellings, rule.key)

    async def vote(self, org_id: int, cluster: str, rule: Rule, user_id: str) -> int | None:
        """A user's vote on a rule for a cluster."""
        row = await self._fetch_row("vote", _VOTE, org_id, cluster, rule.spellings, rule.key, user_id)
        return row["user_vote"] if row else None

    async def reasons(self, only: int | None, user_id: str) -> list[Record]:
        """Why a user disabled rules, in one organisation or in all."""
        return await self._fetch("reasons", _REASONS, only, user_id)

    async def disabled_system_wide(self, org_id: int, rule: Rule | None = None) -> list[Record]:
        """Rules disabled for the whole organisation: this one or all."""
        spellings, key = (rule.spellings, rule.key) if rule else (None, None)
        return await self._fetch("disabled_system_wide", _DISABLED_SYSTEM_WIDE, org_id, spellings, key)

    async def rating(self, org_id: int, rule: Rule) -> Record | None:
        """The organisation's rating of a rule."""
        return await self._fetch_row("rating", _RATING, org_id, rule.spellings, rule.key)

    async def workloads(self, org_id: int, clusters: Sequence[str] | None) -> list[Record]:
        """Namespaces of these clusters or all."""
        return await self._fetch("workloads", _WORKLOADS, org_id, clusters)

    async def namespace(self, org_id: int, cluster: str, namespace: str) -> Record | None:
        """One namespace, with its report."""
        return await self._fetch_row("namespace", _NAMESPACE, org_id, cluster, namespace)

    async def _fetch(self, name: str, statement: str, *arguments: object) -> list[Record]:
        with measured_query(name):
            return await self._database.fetch(statement, *arguments)

    async def _fetch_row(self, name: str, statement: str, *arguments: object) -> Record | None:
        with measured_query(name):
            return await self._database.fetch_row(statement, *arguments)
