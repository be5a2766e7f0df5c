"""A payload as a test sees it: what became of it, and in plain words why it did not arrive."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

import aiohttp

from headrace.contracts.status import ERROR, TERMINAL
from headrace.laptop.following import Archive, Flow, Hop, Trail, soon
from headrace.laptop.recommendations import RosApi
from headrace.laptop.uploads import as_organisation
from headrace.runtime.errors import HeadraceError, Permanent
from headrace.testing.archives import ArchivedUpload, fetched
from headrace.testing.places import Places
from headrace.testing.waiting import run_now
from headrace.web.peer import Peer

WITHIN_SECONDS: Final = 30.0


class PayloadFailed(AssertionError):
    """A payload did not become what the test expects; the text has the reason and every hop."""


@dataclass(frozen=True)
class Verdict:
    """Whether something holds. Its representation is the reason, which pytest shows of a failed ``assert``."""

    holds: bool
    reason: str

    def __bool__(self) -> bool:
        """As in ``assert payload.archived``."""
        return self.holds

    def __repr__(self) -> str:
        return self.reason


@dataclass(frozen=True, kw_only=True)
class AsyncPayload:
    """One payload. ``consumers`` are the services that report on it, each with those before it (`consumers_of`)."""

    places: Places
    request_id: str
    service: str
    org_id: str
    consumers: Mapping[str, frozenset[str]] = field(repr=False)
    # Statuses that the request id had before this upload.
    known: frozenset[int] = field(default=frozenset(), repr=False)

    async def statuses(self) -> list[Hop]:
        """Return what services have reported until now, oldest first."""
        async with self._flow() as flow:
            return [hop for hop in await flow.hops(self.request_id, self.org_id) if hop.id not in self.known]

    async def wait(self, timeout: float = WITHIN_SECONDS) -> Self:  # noqa: ASYNC109 -- it is the flow's, not the call's
        """Wait until every service that takes the upload has succeeded with it; raises `PayloadFailed`."""
        __tracebackhide__ = True
        await self._expect(self.consumers, "did not arrive", timeout)
        return self

    async def archived(self, timeout: float = WITHIN_SECONDS) -> Verdict:  # noqa: ASYNC109
        """Wait for the archiver, and say whether it archived the upload."""
        if "archiver" not in self.consumers:
            return Verdict(False, f"the archiver takes no uploads of the service {self.service!r}")
        problems = await self._follow(self._until("archiver"), timeout)
        return Verdict(not problems, "; ".join(problems) or f"{self.request_id} is archived")

    async def archive(self, timeout: float = WITHIN_SECONDS) -> ArchivedUpload:  # noqa: ASYNC109
        """Wait until it is archived and return the archived upload; raises `PayloadFailed`."""
        __tracebackhide__ = True
        place = await self._archive(timeout)
        content = await fetched(self.places, place.bucket, place.key)
        return ArchivedUpload(place.bucket, place.key, place.cluster_id, content)

    async def reports(self, timeout: float = WITHIN_SECONDS) -> list[dict[str, Any]]:  # noqa: ASYNC109
        """Wait for the rules' report on the cluster and return its hits, each with ``key`` and ``details``.

        Raises `PayloadFailed` if no report comes of this payload.
        """
        __tracebackhide__ = True
        await self._expect(self._until("results-aggregator"), "has no report", timeout)
        cluster_id = (await self._archive(timeout)).cluster_id
        async with aiohttp.ClientSession() as session:
            peer = Peer(session, self.places.service("results_aggregator"), name="the results aggregator")
            path = f"/api/v1/organizations/{self.org_id}/clusters/{cluster_id}/users/1/report"
            answer = await peer.call("GET", path, headers=as_organisation(self.org_id))
        if answer.status != 200:
            raise PayloadFailed(
                await self.told(f"has no report: the results aggregator answers {answer.shown}")
            )
        hits: list[dict[str, Any]] = answer.body["report"]["reports"]
        return hits

    async def recommendations(self, timeout: float = WITHIN_SECONDS) -> list[dict[str, Any]]:  # noqa: ASYNC109
        """Wait until every workload was asked about and return the cluster's recommendations.

        Raises `PayloadFailed` if the payload fails on its way there.
        """
        __tracebackhide__ = True
        began = time.monotonic()
        await self._expect(self._until("ros-poller"), "has no recommendation", timeout)
        cluster_id = (await self._archive(timeout)).cluster_id
        async with aiohttp.ClientSession() as session:
            ros = RosApi(session, self.places.service("ros_api"))
            workloads = await ros.rows("workloads", self.org_id, cluster_id)

            async def look() -> bool | None:
                ended = [hop for hop in await self.statuses() if hop.service == "ros-poller"]
                return len([hop for hop in ended if hop.status in TERMINAL]) >= len(workloads) or None

            left = max(1.0, began + timeout - time.monotonic())
            try:
                await soon(look, f"not all of its {len(workloads)} workloads were asked about", left)
            except Permanent as error:
                raise PayloadFailed(await self.told(str(error))) from None
            return await ros.rows("recommendations", self.org_id, cluster_id)

    async def told(self, problem: str) -> str:
        """Return the problem with every hop of the payload, for a person."""
        try:
            hops = await self.statuses()
        except HeadraceError as error:
            return f"payload {self.request_id} {problem}\n  its statuses cannot be read: {error}"
        return "\n".join([f"payload {self.request_id} {problem}", *hop_lines(hops)])

    async def _expect(self, services: Mapping[str, frozenset[str]], problem: str, seconds: float) -> None:
        __tracebackhide__ = True
        if problems := await self._follow(services, seconds):
            raise PayloadFailed(await self.told(f"{problem}: {'; '.join(problems)}"))

    async def _follow(self, services: Mapping[str, frozenset[str]], seconds: float) -> list[str]:
        """Wait for the services' final statuses; returns why not all of them succeeded."""
        trail = Trail(self.request_id)
        async with self._flow() as flow:
            follow = flow.follow(
                trail, services=services, org_id=self.org_id, known=self.known, within_seconds=seconds
            )
            async for _ in follow:
                pass
        trail.hops = [hop for hop in trail.hops if hop.service in services]
        return trail.problems

    def _until(self, name: str) -> dict[str, frozenset[str]]:
        """Return one service with those before it; raises `PayloadFailed` if it takes no such upload."""
        if name not in self.consumers:
            raise PayloadFailed(
                f"payload {self.request_id}: nothing of an upload of the service {self.service!r} reaches {name}"
            )
        wanted = {name} | self.consumers[name]
        return {each: self.consumers[each] for each in wanted}

    async def _archive(self, seconds: float) -> Archive:
        __tracebackhide__ = True
        await self._expect(self._until("archiver"), "was not archived", seconds)
        async with self._flow() as flow:
            found = await flow.archives(self.request_id, self.org_id)
        if not found:
            raise PayloadFailed(await self.told("was not archived: the archiver lists no archive of it"))
        return found[-1]

    @asynccontextmanager
    async def _flow(self) -> AsyncIterator[Flow]:
        async with aiohttp.ClientSession() as session:
            yield Flow(session, self.places.service("payload_tracker"), self.places.service("archiver"))


class Payload:
    """The same for tests without an event loop: each call returns when it has its answer."""

    def __init__(self, payload: AsyncPayload) -> None:
        self.aio = payload

    @property
    def request_id(self) -> str:
        """The identifier of the payload."""
        return self.aio.request_id

    @property
    def org_id(self) -> str:
        """The organisation that ingress takes for the sender's."""
        return self.aio.org_id

    @property
    def statuses(self) -> list[Hop]:
        """What services have reported until now, oldest first."""
        return run_now(self.aio.statuses())

    @property
    def archived(self) -> Verdict:
        """Whether the archiver archived the upload, as soon as it has said so."""
        return run_now(self.aio.archived())

    def wait(self, timeout: float = WITHIN_SECONDS) -> Self:
        """Wait until every service that takes the upload has succeeded with it; raises `PayloadFailed`."""
        __tracebackhide__ = True
        run_now(self.aio.wait(timeout))
        return self

    def archive(self, timeout: float = WITHIN_SECONDS) -> ArchivedUpload:
        """Wait until it is archived and return the archived upload; raises `PayloadFailed`."""
        __tracebackhide__ = True
        return run_now(self.aio.archive(timeout))

    def reports(self, timeout: float = WITHIN_SECONDS) -> list[dict[str, Any]]:
        """Wait for the rules' report on the cluster and return its hits; raises `PayloadFailed`."""
        __tracebackhide__ = True
        return run_now(self.aio.reports(timeout))

    def recommendations(self, timeout: float = WITHIN_SECONDS) -> list[dict[str, Any]]:
        """Wait for the cluster's recommendations and return them; raises `PayloadFailed`."""
        __tracebackhide__ = True
        return run_now(self.aio.recommendations(timeout))

    def __repr__(self) -> str:
        return f"Payload({self.request_id!r}, service={self.aio.service!r}, org_id={self.org_id!r})"


def hop_lines(hops: Sequence[Hop]) -> Iterable[str]:
    """Return a line for each hop, with its time since the first."""
    if not hops:
        yield "  no service has reported anything"
    for hop in hops:
        mark = "!" if hop.status == ERROR else " "
        after = hop.milliseconds_after(hops[0].date)
        yield f" {mark} {after:>6} ms  {hop.service:<18} {hop.status:<10} {hop.message}"
