"""`demo`: the stack's own senders. Each gets something to send; then the result is looked up."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from headrace.archives import read_members
from headrace.laptop.following import Archive, Flow, soon
from headrace.objects.store import ObjectStore
from headrace.runtime.errors import Permanent
from headrace.web.peer import Peer

_QUESTION: Final = "How do I scale a deployment?"
_HOSTS: Final = 3
# How a sending of the assisted installer's events may end besides being sent.
_NOT_SENT: Final = frozenset({"skipped", "given_up", "exported"})


@dataclass(frozen=True)
class Senders:
    """The senders' REST APIs and the receivers of their uploads. ``admin`` has the facts of services without a port."""

    ols: Peer
    assisted: Peer
    admin: Peer
    flow: Flow
    objects: ObjectStore

    async def facts(self, service: str, about: str) -> dict[str, Any]:
        """Return a service's facts beside its health; empty before it has any."""
        report = (await self.admin.call("GET", "/health")).body or {}
        found: dict[str, Any] = report.get("facts", {}).get(service, {}).get(about) or {}
        return found

    async def archives(self, request_id: str) -> list[Archive]:
        """Return the archives of a request of any organisation; none while the tracker does not know the request."""
        hops = await self.flow.hops(request_id)
        owner = next((hop.org_id for hop in hops if hop.org_id), "")
        return await self.flow.archives(request_id, owner) if owner else []

    async def names_in(self, archive: Archive) -> set[str]:
        """Return the names of the files in an archive."""
        async with (
            self.objects.get(archive.bucket, archive.key) as chunks,
            aclosing(read_members(chunks)) as members,
        ):
            return {member.name async for member in members}


async def light_speed(senders: Senders) -> tuple[str, str]:
    """Send a question and its feedback, through files, the collector and ingress."""
    answer = await _asked(senders.ols, "/v1/query", {"query": _QUESTION})
    feedback = {"user_question": _QUESTION, "llm_response": answer["response"], "sentiment": 1}
    conversation = answer["conversation_id"]
    await _asked(senders.ols, "/v1/feedback", feedback | {"conversation_id": conversation})
    collected: dict[str, Archive] = {}

    async def look() -> str | None:
        last = (await senders.facts("ols_collector", "collector")).get("last_with_data", {})
        for archive in await senders.archives(last["request_id"]) if last.get("request_id") else []:
            if archive not in collected.values():
                collected.update(dict.fromkeys(await senders.names_in(archive), archive))
        kinds = {name.partition("/")[0] for name in collected}
        asked = [archive for name, archive in collected.items() if f"/{conversation}/" in name]
        return f"s3://{asked[0].bucket}/{asked[0].key}" if asked and "feedback" in kinds else None

    key = await soon(look, "the collector's archive with the question and the feedback did not arrive")
    return f"one question, one feedback: {len(collected)} files", key


async def assisted_installer(senders: Senders) -> tuple[str, str]:
    """Simulate an installation that ends."""
    path = "/api/assisted-events/v1"
    answer = await _asked(
        senders.assisted, f"{path}/simulations", {"hosts": _HOSTS, "end_state": "installed"}
    )
    (made,) = answer["clusters"]

    async def look() -> str | None:
        cluster = (await senders.assisted.call("GET", f"{path}/clusters/{made['id']}")).body
        for sending in cluster["sendings"]:
            if sending["state"] in _NOT_SENT:
                raise Permanent(f"the installation was not sent: {sending['reason']}")
            for archive in (
                await senders.archives(sending["request_id"]) if sending["state"] == "sent" else []
            ):
                return f"s3://{archive.bucket}/{archive.key}"
        return None

    key = await soon(look, f"the archive of installation {made['id']} did not arrive")
    return f"installed: {made['hosts']} hosts, {made['events']} events", key


async def segment_bridge(senders: Senders) -> tuple[str, str]:
    """Return the run that the bridge makes at its start, or made less than a minute ago."""

    async def look() -> dict[str, Any] | None:
        return await senders.facts("segment_bridge", "run") or None

    run = await soon(look, "the segment bridge has not run")
    if not run["succeeded"]:
        raise Permanent(f"the segment bridge's run failed: {'; '.join(run['problems'])}")
    return f"{run['rows']} audit records: {run['sent']} events", ""


SENDERS: Final[tuple[tuple[str, Callable[[Senders], Awaitable[tuple[str, str]]]], ...]] = (
    ("LightSpeed", light_speed),
    ("assisted installer", assisted_installer),
    ("segment bridge", segment_bridge),
)


async def _asked(peer: Peer, path: str, body: dict[str, Any]) -> Any:
    answer = await peer.call("POST", path, json=body)
    if not 200 <= answer.status < 300:
        raise Permanent(f"{path} answers {answer.shown}")
    return answer.body
