"""Users' decisions: toggles, votes, system-wide disabling, ratings, and deletion in debug mode."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from headrace.contracts.message import rfc3339
from headrace.database.pool import Record
from headrace.web.errors import Refusal
from headrace_services.results_aggregator.answers import nullable
from headrace_services.results_aggregator.bodies import read_clusters, read_rating, read_text
from headrace_services.results_aggregator.decisions import Decisions
from headrace_services.results_aggregator.parameters import Asked
from headrace_services.results_aggregator.queries import Queries
from headrace_services.results_aggregator.refusals import forbidden, not_found

_NOT_DISABLED = "Rule was not disabled"


@dataclass(frozen=True)
class Decided:
    """Handlers."""

    queries: Queries
    decisions: Decisions
    max_text_bytes: int

    async def enable(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """Enable a rule for a cluster."""
        return await self._toggle(asked, disabled=False)

    async def disable(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """Disable a rule for a cluster."""
        return await self._toggle(asked, disabled=True)

    async def disable_feedback(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """Say why a rule is disabled for a cluster."""
        message = await self._message(request, required=True)
        stored = await self.decisions.say_why_disabled(
            asked.org_id, asked.cluster, asked.rule, asked.user_id, message
        )
        await self._check_owner(asked, stored=stored)
        return {"message": message}

    async def like(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """Vote for a rule."""
        return await self._vote(request, asked, 1)

    async def dislike(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """Vote against a rule."""
        return await self._vote(request, asked, -1)

    async def reset_vote(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """Take back the vote on a rule."""
        return await self._vote(request, asked, 0)

    async def get_vote(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """A user's vote on a rule."""
        owner = await self.queries.owner(asked.cluster)
        if owner is None:
            raise not_found(asked.cluster)
        if owner != (asked.org_id or asked.caller or owner):
            raise forbidden()
        vote = await self.queries.vote(owner, asked.cluster, asked.rule, asked.user_id)
        if vote is None:
            raise not_found(asked.cluster, asked.rule_id, asked.user_id)
        return {"vote": vote}

    async def reasons(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """The reasons that a user gave for disabling rules."""
        rows = await self.queries.reasons(asked.caller, asked.user_id)
        return {"reasons": [_reason(row) for row in rows]}

    async def enable_system_wide(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """Enable a rule for all clusters."""
        await self.decisions.enable(asked.org_id, asked.rule)
        return {"status": "rule enabled"}

    async def disable_system_wide(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """Disable a rule for all clusters."""
        justification = await self._justification(request)
        await self.decisions.disable(asked.org_id, asked.rule, justification)
        return {"justification": justification}

    async def update_system_wide(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """Change the reason why a rule is disabled for all clusters."""
        justification = await self._justification(request)
        if not await self.decisions.justify(asked.org_id, asked.rule, justification):
            raise Refusal(404, _NOT_DISABLED)
        return {"justification": justification}

    async def read_system_wide(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """A rule that is disabled for all clusters."""
        rows = await self.queries.disabled_system_wide(asked.org_id, asked.rule)
        if not rows:
            raise Refusal(404, _NOT_DISABLED)
        return {"disabledRule": _system_wide(rows[0])}

    async def disabled_system_wide(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """The rules that are disabled for all clusters."""
        rows = await self.queries.disabled_system_wide(asked.org_id)
        return {"disabledRules": [_system_wide(row) for row in rows]}

    async def disabled(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """The rules that are disabled for any cluster."""
        return {"rules": [_disabled(row) for row in await self.queries.disabled(asked.org_id, None)]}

    async def disabled_for_clusters(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """The rules that are disabled for any of the clusters in the body."""
        clusters = await read_clusters(request)
        return {"rules": [_disabled(row) for row in await self.queries.disabled(asked.org_id, clusters)]}

    async def disabled_clusters(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """The clusters for which a rule is disabled."""
        return {
            "clusters": [
                {
                    "cluster_id": row["cluster_id"],
                    "cluster_name": "",
                    "disabled_at": rfc3339(row["disabled_at"]),
                    "justification": row["justification"],
                }
                for row in await self.queries.disabled_clusters(asked.org_id, asked.rule)
            ]
        }

    async def rate(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """Rate a rule."""
        rule, rating = await read_rating(request)
        await self.decisions.rate(asked.org_id, rule, rating)
        return {"ratings": {"rule": f"{rule.fqdn}|{rule.key}", "rating": rating}}

    async def rating(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """A rule's rating."""
        row = await self.queries.rating(asked.org_id, asked.rule)
        if row is None:
            raise not_found(asked.org_id, f"{asked.rule_id}|{asked.error_key}", "rating")
        return {"rating": {"rule": row["rule_id"], "rating": row["rating"]}}

    async def delete_organizations(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """Delete everything that is stored about organisations."""
        foreign = [org_id for org_id in asked.org_ids if org_id != asked.caller]
        if asked.caller is not None and foreign:
            raise forbidden(foreign[0], asked.caller)
        await self.decisions.delete_organizations(asked.org_ids)
        return {}

    async def delete_clusters(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """Delete everything that is stored about clusters."""
        if not await self.decisions.delete_clusters(asked.clusters, caller=asked.caller):
            raise forbidden()
        return {}

    async def _toggle(self, asked: Asked, *, disabled: bool) -> dict[str, Any]:
        stored = await self.decisions.toggle(asked.org_id, asked.cluster, asked.rule, disabled=disabled)
        await self._check_owner(asked, stored=stored)
        return {}

    async def _vote(self, request: web.Request, asked: Asked, vote: int) -> dict[str, Any]:
        message = await self._message(request, required=False)
        stored = await self.decisions.vote(
            asked.org_id, asked.cluster, asked.rule, asked.user_id, vote, message
        )
        await self._check_owner(asked, stored=stored)
        return {}

    async def _check_owner(self, asked: Asked, *, stored: bool) -> None:
        """Nothing is stored but by the cluster's owner; say which of the reasons it was."""
        if stored:
            return
        if await self.queries.owner(asked.cluster) is None:
            raise not_found(asked.cluster)
        raise forbidden()

    async def _message(self, request: web.Request, *, required: bool) -> str:
        return await read_text(
            request, "message", called="feedback message", max_bytes=self.max_text_bytes, required=required
        )

    async def _justification(self, request: web.Request) -> str:
        return await read_text(
            request, "justification", called="justification", max_bytes=self.max_text_bytes
        )


def _disabled(row: Record) -> dict[str, Any]:
    return {
        "ClusterID": row["cluster_id"],
        "RuleID": row["rule_id"],
        "ErrorKey": row["error_key"],
        "Disabled": row["disabled"],
        "DisabledAt": nullable(row["disabled_at"]),
        "EnabledAt": nullable(row["enabled_at"]),
        "UpdatedAt": nullable(row["updated_at"]),
    }


def _reason(row: Record) -> dict[str, Any]:
    return {
        "ClusterID": row["cluster_id"],
        "RuleID": row["rule_id"],
        "ErrorKey": row["error_key"],
        "Message": row["message"],
        "AddedAt": nullable(row["added_at"]),
        "UpdatedAt": nullable(row["updated_at"]),
    }


def _system_wide(row: Record) -> dict[str, Any]:
    return {
        "org_id": row["org_id"],
        "user_id": row["user_id"],
        "rule_id": row["rule_id"],
        "error_key": row["error_key"],
        "justification": row["justification"],
        "created_at": nullable(row["created_at"]),
        "updated_at": nullable(row["updated_at"]),
    }
