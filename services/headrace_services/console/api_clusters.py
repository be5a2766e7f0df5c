"""Clusters: the newest report of each, what its rules found, and the decision to switch a rule off."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from headrace.runtime.logging import get_logger
from headrace.web.errors import Refusal
from headrace.web.parameters import Parameter, Text
from headrace_services.console import pages
from headrace_services.console.callers import Viewer
from headrace_services.console.markdown import markdown
from headrace_services.console.peers import Aggregator
from headrace_services.console.site import Site
from headrace_services.console.sources import panel

_log = get_logger(__name__)

CLUSTER: Final = Parameter("cluster", Text(min_characters=1, max_bytes=64), "", where="path")
CLUSTER_FILTER: Final = Parameter("cluster", Text(max_bytes=64), "", "beginning of a cluster id")
CURSOR: Final = Parameter("cursor", Text(max_bytes=512), "", "where the page begins")
_PAGE: Final = 50
_ANSWERS: Final = frozenset({"disable", "enable"})
_MAX_MESSAGE: Final = 255


@dataclass(frozen=True)
class ClusterPages:
    """The handlers and what they stand on."""

    site: Site
    aggregator: Aggregator

    async def clusters(self, request: web.Request) -> web.Response:
        """Show the clusters of an organisation, those with the newest report first."""
        viewer = self.site.viewer(request)
        wanted, cursor = CLUSTER_FILTER.read(request.query), CURSOR.read(request.query)
        query = {"cluster": wanted, "cursor": cursor, "limit": str(_PAGE)}
        found = (
            await panel(
                "results_aggregator",
                self.aggregator.clusters(viewer, {name: text for name, text in query.items() if text}),
            )
            if viewer.own
            else None
        )
        return self.site.page(
            request,
            "clusters.html",
            viewer,
            title="Clusters",
            live="payloads" if viewer.own and not cursor else "",
            found=found,
            wanted=wanted,
            cursor=cursor,
        )

    async def cluster(self, request: web.Request) -> web.Response:
        """Show a cluster's newest report: each hit with its reason and resolution, and what did not run."""
        viewer = self._of_one(request)
        wanted = CLUSTER.read(request.match_info)
        found = await panel("results_aggregator", self.aggregator.cluster(viewer, wanted))
        if not found.problem and found.value is None:
            raise Refusal(404, "the organisation has no report of this cluster")
        return self.site.page(
            request, "cluster.html", viewer, title=wanted, cluster_id=wanted, found=found, markdown=markdown
        )

    async def decide(self, request: web.Request) -> web.Response:
        """Switch a rule off for a cluster, with the reason why, or on again."""
        viewer = self._of_one(request)
        wanted = CLUSTER.read(request.match_info)
        form = await request.post()
        texts = {name: text for name, text in form.items() if isinstance(text, str)}
        rule, key, answer = (texts.get(name, "") for name in ("rule_id", "error_key", "answer"))
        message = texts.get("justification", "").strip()
        if answer not in _ANSWERS or not rule or not key:
            raise Refusal(400, "answer: expected disable or enable, with rule_id and error_key")
        if answer == "disable" and not 0 < len(message) <= _MAX_MESSAGE:
            raise Refusal(400, f"justification: expected 1 to {_MAX_MESSAGE} characters")
        await self.aggregator.decide(viewer, wanted, rule, key, answer, message)
        _log.info(
            "rule_decided", who=viewer.name, org=viewer.own, cluster=wanted, rule=rule, key=key, answer=answer
        )
        query = {"org": viewer.org_id} if viewer.is_operator else {}
        raise web.HTTPSeeOther(pages.link(f"/clusters/{pages.part(wanted)}", **query))

    def _of_one(self, request: web.Request) -> Viewer:
        viewer = self.site.viewer(request)
        if not viewer.own:
            raise Refusal(400, "org: expected the organisation of the cluster")
        return viewer
