"""What runs beside the pages while somebody looks: the reader of statuses, and the asker of Kafka's offsets."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from headrace.bus.offsets import OffsetReader, Snapshot, rates
from headrace.bus.peeking import Peeked, Tail, tail
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.settings import EngineSettings
from headrace_services.console.events import FLOW, RESET, STATUS, Hub

_log = get_logger(__name__)

_ASK_EVERY_SECONDS: Final = 2.0
_AGAIN_SECONDS: Final = 2.0
# After the last page has closed: a reload need not begin anew.
_LINGER_SECONDS: Final = 30.0
# Over more time than this, messages a second say nothing of now.
_RECENT_SECONDS: Final = 60.0
_MAX_STATUS_BYTES: Final = 16 << 10
_NAMES: Final = ("request_id", "org_id", "service", "status")


class StatusReader:
    """Reads the topic of statuses from its present end, without a group, while a page is open."""

    def __init__(self, settings: EngineSettings, topic: str, hub: Hub) -> None:
        self._settings = settings
        self._topic = topic
        self._hub = hub

    async def run(self) -> None:
        """Read whenever somebody looks."""
        while True:
            await self._hub.first.wait()
            try:
                await self._read()
            except Retryable as error:
                _log.warning("statuses_not_read", reason=str(error))
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _read(self) -> None:
        async with tail(self._settings, [self._topic], max_value_bytes=_MAX_STATUS_BYTES) as stream:
            # What came between the pages and this moment.
            self._hub.publish(RESET)
            await self._follow(stream)

    async def _follow(self, stream: Tail) -> None:
        records = aiter(stream)
        waiting: asyncio.Task[Peeked] | None = None
        dropped = 0
        try:
            while True:
                waiting = waiting or asyncio.ensure_future(anext(records))
                done, _ = await asyncio.wait({waiting}, timeout=_LINGER_SECONDS)
                if done:
                    self._tell(waiting.result())
                    waiting = None
                elif not self._hub.clients:
                    return
                if stream.dropped != dropped:
                    dropped = stream.dropped
                    self._hub.publish(RESET)
        finally:
            if waiting is not None:
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)

    def _tell(self, record: Peeked) -> None:
        try:
            status = orjson.loads(record.value or b"")
        except orjson.JSONDecodeError:
            return
        if not isinstance(status, dict):
            return
        told = {name: text for name in _NAMES if isinstance(text := status.get(name), str)}
        self._hub.publish(
            STATUS,
            {name: told.get(name, "") for name in ("service", "status")},
            request_id=told.get("request_id", ""),
            org_id=told.get("org_id", ""),
        )


@dataclass(frozen=True)
class Traffic:
    """What Kafka's offsets say: messages a second by topic, and what waits by group and topic."""

    snapshot: Snapshot
    rates: Mapping[str, float]


class TrafficReader:
    """Asks for offsets every two seconds while the overview is open, and on request otherwise; one asker a process."""

    def __init__(
        self, settings: EngineSettings, groups: Collection[tuple[str, str]], topics: Collection[str], hub: Hub
    ) -> None:
        self._settings = settings
        self._groups = list(groups)
        self._topics = list(topics)
        self._hub = hub
        self._asking = asyncio.Lock()
        self._newest: Traffic | None = None
        self.problem = ""

    async def traffic(self) -> Traffic:
        """Return what is not older than two asks; raises `Retryable` if Kafka does not answer."""
        newest = self._newest
        loop_time = asyncio.get_running_loop().time()
        if (
            newest is not None
            and loop_time - newest.snapshot.monotonic < 2 * _ASK_EVERY_SECONDS
            and not self.problem
        ):
            return newest
        async with self._asking, OffsetReader(self._settings) as reader:
            return await self._ask(reader)

    async def run(self) -> None:
        """Ask whenever an overview is open."""
        while True:
            await self._hub.first.wait()
            try:
                async with OffsetReader(self._settings) as reader:
                    await self._keep_asking(reader)
            except Retryable as error:
                self._fail(str(error))
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _keep_asking(self, reader: OffsetReader) -> None:
        while self._hub.clients:
            if self._hub.wants(lambda topics: topics.flow):
                async with self._asking:
                    await self._ask(reader)
                self._hub.publish(FLOW)
            await asyncio.sleep(_ASK_EVERY_SECONDS)

    async def _ask(self, reader: OffsetReader) -> Traffic:
        snapshot = await reader.read(groups=self._groups, topics=self._topics, timeout_seconds=5.0)
        before = self._newest
        is_recent = before is not None and snapshot.monotonic - before.snapshot.monotonic < _RECENT_SECONDS
        found = Traffic(snapshot, rates(before.snapshot, snapshot) if before and is_recent else {})
        self._newest, self.problem = found, ""
        return found

    def _fail(self, reason: str) -> None:
        if not self.problem:
            _log.warning("offsets_not_read", reason=reason)
        self.problem = reason
        self._hub.publish(FLOW)
