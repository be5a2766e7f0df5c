"""A simulator of Splunk's REST API: searches over audit logs in files, a KV store, Basic authentication.

It finds what a search of `headrace.local.simulators.spl` finds, in the files' order rather than the newest first.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.archives.files import open_inflated
from headrace.local.simulators.simulator import Simulator
from headrace.local.simulators.spl import Search, parse, result
from headrace.local.simulators.spl_functions import Event
from headrace.local.simulators.spl_tokens import SplError
from headrace.local.simulators.splunk_kv import KvStore
from headrace.local.simulators.splunk_time import parse_time
from headrace.web.errors import json_response

USER: Final = "admin"
_RECEIVED: Final = re.compile(rb'"requestReceivedTimestamp"\s*:\s*"([^"]+)"')
_PIECE_BYTES: Final = 1 << 16


@dataclass
class ExportFault:
    """What one answer of the export endpoint suffers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    # Lines sent before the rows.
    messages: tuple[Mapping[str, str], ...] = ()
    previews: int = 0
    # The connection is cut, or the answer ended in order, after so many rows.
    cut_after_rows: int | None = None
    end_after_rows: int | None = None


class SplunkSimulator(Simulator):
    """Indexes by name; a search of one that is not there finds nothing."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.password = secrets.token_urlsafe(12)
        self.indexes: dict[str, list[Path]] = {}
        self.searches: list[Mapping[str, str]] = []
        self.faults: list[ExportFault] = []
        # Answers known beforehand, by the search's text: the chunks of an export, or None to search.
        self.canned: Callable[[str], Iterable[bytes] | None] = lambda _search: None
        self.kv = KvStore()
        self._jobs: dict[str, list[dict[str, Any]]] = {}

    def index(self, name: str, *files: Path) -> None:
        """Add files of JSON lines, plain or gzip; they are read with each search."""
        self.indexes.setdefault(name, []).extend(files)

    def write_netrc(self, path: Path) -> Path:
        """A netrc file with our login, that its owner alone may read; added to what is there."""
        path.touch(mode=0o600)
        with path.open("a", encoding="utf-8") as opened:
            opened.write(f"machine 127.0.0.1 login {USER} password {self.password}\n")
        return path

    def application(self) -> web.Application:
        """The endpoints the bridge and its document use."""
        app = web.Application(middlewares=[self._checked], client_max_size=64 << 20)
        post = app.router.add_post
        for base in ("/services", "/servicesNS/{owner}/{app}"):
            for version in ("", "/v2"):
                post(f"{base}/search{version}/jobs/export", self._export)
                post(f"{base}/search{version}/jobs", self._create_job)
                app.router.add_get(f"{base}/search{version}/jobs/{{sid}}/results", self._results)
            post(f"{base}/data/indexes", self._create_index)
            post(f"{base}/data/inputs/oneshot", self._oneshot)
        self.kv.add_routes(app)
        return app

    @web.middleware
    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Authorization") != aiohttp.encode_basic_auth(USER, self.password):
            return _messages(401, "WARN", "call not properly authenticated")
        try:
            return await handler(request)
        except SplError as error:
            return _messages(400, "FATAL", str(error))

    async def _export(self, request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        self.searches.append(form)
        fault = self.faults.pop(0) if self.faults else ExportFault()
        if fault.status != 200:
            answer = _messages(fault.status, "FATAL", "told so")
            answer.headers.update(fault.headers)
            return answer
        search = parse(form.get("search", ""))
        window = _window(form)
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=UTF-8"})
        await response.prepare(request)
        canned = self.canned(form["search"])
        if canned is not None:
            for chunk in canned:
                await response.write(chunk)
            return response
        lines = _export_lines(self._found(search, window), fault)
        # A search takes its time, and services may share this event loop.
        while piece := await asyncio.to_thread(_piece, lines):
            await response.write(piece)
        if fault.cut_after_rows is not None and request.transport:
            request.transport.abort()
        return response

    async def _create_job(self, request: web.Request) -> web.Response:
        form = await _form(request)
        self.searches.append(form)
        sid = f"{datetime.now(UTC).timestamp():.3f}_{len(self._jobs)}"
        found = self._found(parse(form.get("search", "")), _window(form))
        self._jobs[sid] = await asyncio.to_thread(list, found)
        if form.get("output_mode") == "json":
            return json_response({"sid": sid}, 201)
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<response>\n  <sid>{sid}</sid>\n</response>\n'
        return web.Response(text=text, status=201, content_type="text/xml")

    async def _results(self, request: web.Request) -> web.Response:
        rows = self._jobs.get(request.match_info["sid"])
        if rows is None:
            return _messages(404, "FATAL", "Unknown sid.")
        return json_response({"preview": False, "init_offset": 0, "messages": [], "results": rows})

    async def _create_index(self, request: web.Request) -> web.Response:
        name = (await _form(request)).get("name", "")
        if not name or name in self.indexes:
            return _messages(409 if name else 400, "ERROR", f"Index name={name} already exists.")
        self.index(name)
        return json_response({"entry": [{"name": name}]}, 201)

    async def _oneshot(self, request: web.Request) -> web.Response:
        form = await _form(request)
        path = Path(form.get("name", ""))
        if not await asyncio.to_thread(path.is_file):
            return _messages(400, "ERROR", "The file to be indexed is not there.")
        self.index(form.get("index", "main"), path)
        return json_response({"messages": []}, 201)

    def _found(self, search: Search, window: tuple[float | None, float | None]) -> Iterator[dict[str, Any]]:
        needles = [needle.encode() for needle in search.needles]
        events = (
            event
            for path in self.indexes.get(search.index or "main", ())
            for event in _events(path, needles, window)
        )
        for event in search.run(events):
            yield result(event, kept_fields=search.kept_fields)


def _events(path: Path, needles: list[bytes], window: tuple[float | None, float | None]) -> Iterator[Event]:
    earliest, latest = window
    with open_inflated(path) as opened:
        for line in opened:
            raw = line.strip()
            folded = raw.lower()
            if not raw or not all(needle in folded for needle in needles):
                continue
            time = _time(raw)
            if (earliest is None or time >= earliest) and (latest is None or time < latest):
                yield Event(raw, time)


def _time(raw: bytes) -> float:
    match = _RECEIVED.search(raw)
    try:
        return datetime.fromisoformat(match[1].decode()).timestamp() if match else 0.0
    except ValueError:
        return 0.0


def _window(form: Mapping[str, str]) -> tuple[float | None, float | None]:
    now = datetime.now(UTC)
    try:
        return parse_time(form.get("earliest_time", ""), now), parse_time(form.get("latest_time", ""), now)
    except ValueError as error:
        raise SplError(f"Invalid time: {error}") from None


def _export_lines(rows: Iterator[dict[str, Any]], fault: ExportFault) -> Iterator[bytes]:
    """The lines of an export: diagnostics, rows of previews, rows, the last of them marked."""
    for message in fault.messages:
        yield orjson.dumps({"messages": [message]})
    limit = fault.end_after_rows if fault.end_after_rows is not None else fault.cut_after_rows
    offset, current = 0, next(rows, None)
    if current is None:
        if limit is None:
            yield b'{"preview":false,"lastrow":true}'
        return
    for place in range(fault.previews):
        yield orjson.dumps({"preview": True, "offset": place, "result": current})
    while current is not None and (limit is None or offset < limit):
        following = next(rows, None)
        last = {"lastrow": True} if following is None and limit is None else {}
        yield orjson.dumps({"preview": False, "offset": offset, **last, "result": current})
        offset, current = offset + 1, following


def _piece(lines: Iterator[bytes]) -> bytes:
    """The next lines, some of them; nothing at the end."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(line + b"\n")
        size += len(line)
        if size >= _PIECE_BYTES:
            break
    return b"".join(gathered)


async def _form(request: web.Request) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.post()).items()}


def _messages(status: int, kind: str, text: str) -> web.Response:
    return json_response({"messages": [{"type": kind, "text": text}]}, status)
