"""A simulator of Segment's batch call: its limits, its answers, its discards, its dedup by ``messageId``.

Like Segment it answers 200 to nearly everything: what it discards is only counted. `GET /` shows what it has.
"""

import asyncio
import base64
import binascii
import secrets
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from headrace.local.simulators.simulator import Simulator
from headrace.web.errors import json_response

MAX_BATCH_BYTES: Final = 500_000
MAX_EVENT_BYTES: Final = 32_768
MAX_EVENTS: Final = 2500
MAX_MESSAGE_ID: Final = 100

_MAX_READ_BYTES: Final = 4 << 20
_GUNZIP_WINDOW: Final = 31
# Bounds of what is remembered: the newest events whole, and more of the ids.
_KEPT_EVENTS: Final = 10_000
_KEPT_IDS: Final = 2_000_000


@dataclass
class SegmentFault:
    """What one answer suffers: a status instead of an answer, or none at all."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    # The connection is cut: before the batch is looked at, or after it was taken.
    cut: bool = False
    cut_after_taking: bool = False


class SegmentSimulator(Simulator):
    """One source. ``faults`` are suffered in order, one a request; ``write_key`` is its login."""

    def __init__(self, port: int = 0, *, write_key: str = "") -> None:
        super().__init__(port)
        self.write_key = write_key or secrets.token_urlsafe(24)
        self.faults: list[SegmentFault] = []
        # Whatever is left of faults: every request is refused with this status, if not 0.
        self.refuse_all = 0
        # A batch with an event whose messageId is here is invalid, as far as this simulator is concerned.
        self.poison: set[str] = set()
        self.requests: Counter[int] = Counter()
        self.discarded: Counter[str] = Counter()
        self.received = 0
        self.duplicates = 0
        self.largest_batch_bytes = 0
        self.largest_batch_events = 0
        self.ids: OrderedDict[str, None] = OrderedDict()
        self.events: OrderedDict[str, Any] = OrderedDict()
        self.deliveries: Counter[str] = Counter()
        self.names: Counter[str] = Counter()
        self._released = asyncio.Event()

    @property
    def batch_url(self) -> str:
        """The batch call. By another name of this machine than Splunk's, since netrc tells logins apart by it."""
        return f"http://localhost:{self.port}/v1/batch"

    def write_netrc(self, path: Path) -> Path:
        """A netrc file with the write key, that its owner alone may read; added to what is there."""
        path.touch(mode=0o600)
        with path.open("a", encoding="utf-8") as opened:
            opened.write(f'machine localhost login {self.write_key} password ""\n')
        return path

    def application(self) -> web.Application:
        """The batch call, and what it has."""
        app = web.Application(client_max_size=_MAX_READ_BYTES)
        app.router.add_post("/v1/batch", self._batch)
        app.router.add_get("/", self._show)
        app.router.add_get("/events", self._show_events)
        app.on_shutdown.append(self._release)
        return app

    async def _release(self, _app: web.Application) -> None:
        self._released.set()

    def summary(self) -> dict[str, Any]:
        """Counts."""
        return {
            "simulator": "Segment",
            "events": len(self.ids),
            "received": self.received,
            "duplicates": self.duplicates,
            "discarded": dict(self.discarded),
            "by_name": dict(self.names),
            "requests": {str(status): count for status, count in self.requests.items()},
            "largest_batch_bytes": self.largest_batch_bytes,
            "largest_batch_events": self.largest_batch_events,
        }

    async def _show(self, _request: web.Request) -> web.Response:
        return json_response(self.summary())

    async def _show_events(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "100")
        count = int(limit) if limit.isdecimal() else 100
        newest = list(self.events.values())[-count:] if count else []
        return json_response({"events": newest})

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = self.faults.pop(0) if self.faults else SegmentFault(status=self.refuse_all)
        if fault.hang:
            await self._released.wait()
        if fault.cut:
            return _cut(request)
        if fault.status:
            self.requests[fault.status] += 1
            return web.Response(status=fault.status, headers=fault.headers, text="told so")
        answer = self._take(request, body)
        self.requests[answer.status] += 1
        return _cut(request) if fault.cut_after_taking else answer

    def _take(self, request: web.Request, body: bytes) -> web.Response:
        if not self._authorized(request):
            return _refusal(401, "the write key is not known")
        try:
            if request.headers.get("Content-Encoding") == "gzip":
                body = zlib.decompressobj(_GUNZIP_WINDOW).decompress(body, _MAX_READ_BYTES)
            if len(body) > MAX_BATCH_BYTES:
                return _refusal(400, "the request is larger than 500 KB")
            batch = orjson.loads(body)["batch"]
            events = [event for event in batch if isinstance(event, dict)]
        except (ValueError, KeyError, TypeError, zlib.error):
            return _refusal(400, "the request is no JSON object with a batch")
        if self.poison and any(event.get("messageId") in self.poison for event in events):
            return _refusal(400, "an event is invalid")
        self.largest_batch_bytes = max(self.largest_batch_bytes, len(body))
        self.largest_batch_events = max(self.largest_batch_events, len(batch))
        if len(batch) > MAX_EVENTS:
            return _refusal(400, "the batch has more than 2500 events")
        if not batch:
            self.discarded["empty_batch"] += 1
        if strays := len(batch) - len(events):
            self.discarded["not_an_object"] += strays
        for event in events:
            self._keep(event)
        return json_response({"success": True})

    def _keep(self, event: dict[str, Any]) -> None:
        self.received += 1
        if reason := _discard(event):
            self.discarded[reason] += 1
            return
        message_id = event.get("messageId") or f"(none) {secrets.token_hex(8)}"
        self.deliveries[message_id] += 1
        if message_id in self.ids:
            self.duplicates += 1
            return
        self.ids[message_id] = None
        self.events[message_id] = event
        self.names[event["event"] if event["type"] == "track" else event["type"]] += 1
        if len(self.events) > _KEPT_EVENTS:
            self.events.popitem(last=False)
        if len(self.ids) > _KEPT_IDS:
            forgotten, _ = self.ids.popitem(last=False)
            del self.deliveries[forgotten]

    def _authorized(self, request: web.Request) -> bool:
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        try:
            user, _, _ = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return False
        return kind == "Basic" and secrets.compare_digest(user.encode(), self.write_key.encode())


def _has_user(event: dict[str, Any]) -> bool:
    return any(isinstance(event.get(name), str) and event[name] for name in ("userId", "anonymousId"))


def _fine_message_id(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) < MAX_MESSAGE_ID)


def _is_track(event: dict[str, Any]) -> bool:
    return event.get("type") == "track"


# Segment's words for why it does not keep an event, but for the last three, which it has not made public.
_DISCARDS: Final[dict[str, Callable[[dict[str, Any]], bool]]] = {
    "no_user_anon_id": lambda event: not _has_user(event),
    "event_not_defined": lambda event: _is_track(event) and event.get("event") is None,
    "event_not_string": lambda event: _is_track(event) and not isinstance(event["event"], str),
    "properties_not_object": lambda event: not isinstance(event.get("properties", {}), dict),
    "type_not_defined": lambda event: not isinstance(event.get("type"), str),
    "message_id_not_valid": lambda event: not _fine_message_id(event.get("messageId")),
    "event_too_large": lambda event: len(orjson.dumps(event)) > MAX_EVENT_BYTES,
}


def _discard(event: dict[str, Any]) -> str:
    """Why an event is not kept; empty when it is."""
    return next((name for name, applies in _DISCARDS.items() if applies(event)), "")


def _refusal(status: int, message: str) -> web.Response:
    return json_response({"success": False, "message": message}, status)


def _cut(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
