"""Senders: what waits at them, what they sent last, and why something was not sent, as far as they tell it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from headrace.web.parameters import Choice, Integer, Parameter, Text
from headrace_services.console.api_flow import Health
from headrace_services.console.peers import AssistedEvents
from headrace_services.console.site import Site
from headrace_services.console.sources import Panel, panel

_PAGE: Final = 50
# The states of a sending of the assisted installer's events: how people call each, and how it looks.
STATES: Final[Mapping[str, tuple[str, str]]] = {
    "waiting": ("waiting", "in_progress"),
    "sending": ("being sent", "in_progress"),
    "sent": ("sent", "done"),
    "skipped": ("skipped", "unknown"),
    "given_up": ("given up", "failed"),
    "exported": ("exported", "unknown"),
}
CLUSTER: Final = Parameter(
    "cluster", Text(max_bytes=64), "", "sendings of this cluster, and whether it is opted out"
)
STATE: Final = Parameter("state", Choice(tuple(STATES)), "", "sendings in this state")
OFFSET: Final = Parameter("offset", Integer(0, 10**9), 0, "how many sendings come before the page")
ALL: Final[tuple[Parameter[Any], ...]] = (CLUSTER, STATE, OFFSET)


@dataclass(frozen=True)
class SenderPages:
    """The handlers and what they stand on."""

    site: Site
    assisted: AssistedEvents
    health: Health

    async def all(self, request: web.Request) -> web.Response:
        """Show what each sender sent last, what it still has, and why."""
        viewer = self.site.operator(request)
        cluster, state, offset = (item.read(request.query) for item in ALL)
        query = {"cluster_id": cluster, "state": state, "limit": str(_PAGE), "offset": str(offset)}
        sendings: Panel[Any]
        known: Panel[Any]
        facts, sendings, known = await asyncio.gather(
            panel("health", self.health.facts(), seconds=3.0),
            panel(
                "assisted_events",
                self.assisted.sendings({name: text for name, text in query.items() if text}),
            ),
            panel("assisted_events", self.assisted.cluster(cluster)) if cluster else _nothing(),
        )
        count = sendings.value["count"] if sendings.value else 0
        return self.site.page(
            request,
            "senders.html",
            viewer,
            title="Senders",
            facts=facts,
            collector=_fact(facts, "ols_collector", "collector"),
            run=_fact(facts, "segment_bridge", "run"),
            sendings=sendings,
            opted_out=known.value.get("opted_out") if known.value else None,
            states=STATES,
            cluster=cluster,
            state=state,
            offset=offset,
            older=offset + _PAGE if offset + _PAGE < count else 0,
        )


async def _nothing() -> Panel[Any]:
    return Panel()


def _fact(facts: Panel[dict[str, dict[str, Any]]], service: str, about: str) -> Mapping[str, Any] | None:
    """Return what a service tells about itself in a health report; None if it has told nothing."""
    found = (facts.value or {}).get(service, {}).get(about)
    return found if isinstance(found, Mapping) else None
