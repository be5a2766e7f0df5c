"""A simulator of Splunk's REST API: searches over audit logs in files, jobs, a KV store, Basic authentication.

It finds what a search of `headrace.local.simulators.spl` finds, the newest first.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.archives.files import open_inflated
from headrace.local.simulators import splunk_output as output
from headrace.local.simulators.simulator import Simulator
from headrace.local.simulators.spl import Event, Search, SplError, parse
from headrace.local.simulators.splunk_kv import KvStore
from headrace.local.simulators.splunk_time import parse_time

USER: Final = "admin"
_RECEIVED: Final = re.compile(rb'"requestReceivedTimestamp"\s*:\s*"([^"]+)"')
_PIECE_BYTES: Final = 1 << 16
_KEPT_JOBS: Final = 50
# Splunk's page of results, unless a caller says otherwise.
_PAGE: Final = 100

Window = tuple[float | None, float | None]
Form = Mapping[str, str]


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


@dataclass(frozen=True)
class _Job:
    search: str
    rows: Sequence[output.Row]

    def content(self, sid: str) -> dict[str, Any]:
        """As Splunk tells of a job that is done."""
        count = len(self.rows)
        return {
            "sid": sid, "search": self.search, "dispatchState": "DONE", "isDone": True, "isFailed": False,
            "doneProgress": 1, "eventCount": count, "resultCount": count, "scanCount": count,
        }  # fmt: skip


class SplunkSimulator(Simulator):
    """Indexes by name; a search of one that is not there finds nothing."""

    def __init__(self, port: int = 0, *, password: str = "", certificate: Path | None = None) -> None:
        """With a ``certificate`` it speaks HTTPS, as Splunk does; a password is made up where none is given."""
        super().__init__(port, certificate=certificate)
        self.password = password or secrets.token_urlsafe(12)
        self.indexes: dict[str, list[Path]] = {}
        self.searches: list[Form] = []
        self.faults: list[ExportFault] = []
        # Answers known beforehand, by the search's text: the chunks of an export, or None to search.
        self.canned: Callable[[str], Iterable[bytes] | None] = lambda _search: None
        self.kv = KvStore()
        self._jobs: dict[str, _Job] = {}

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
        add = app.router.add_route
        for base in ("/services", "/servicesNS/{owner}/{app}"):
            for version in ("", "/v2"):
                jobs = f"{base}/search{version}/jobs"
                for method in ("GET", "POST"):
                    add(method, f"{jobs}/export", self._export)
                    for what in ("results", "results_preview", "events"):
                        add(method, f"{jobs}/{{sid}}/{what}", self._results)
                add("POST", jobs, self._create_job)
                add("GET", jobs, self._list_jobs)
                add("GET", f"{jobs}/{{sid}}", self._show_job)
                add("DELETE", f"{jobs}/{{sid}}", self._delete_job)
            add("POST", f"{base}/data/indexes", self._create_index)
            add("GET", f"{base}/data/indexes", self._list_indexes)
            add("POST", f"{base}/data/inputs/oneshot", self._oneshot)
            # Nothing is ever still being read.
            add("GET", f"{base}/data/inputs/oneshot", _nothing)
            add("GET", f"{base}/server/{{what:info|status}}", _server)
        self.kv.add_routes(app)
        return app

    @web.middleware
    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        form = await _form(request)
        if request.headers.get("Authorization") != aiohttp.encode_basic_auth(USER, self.password):
            return output.messages(form, 401, "WARN", "call not properly authenticated")
        try:
            return await handler(request)
        except SplError as error:
            return output.messages(form, 400, "FATAL", str(error))
        except web.HTTPNotFound:
            return output.messages(form, 404, "ERROR", "Not Found")

    async def _export(self, request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        self.searches.append(form)
        fault = self.faults.pop(0) if self.faults else ExportFault()
        if fault.status != 200:
            answer = output.messages({"output_mode": "json"}, fault.status, "FATAL", "told so")
            answer.headers.update(fault.headers)
            return answer
        found = self._found(form)
        mode = form.get("output_mode", "xml")
        if mode != "json":
            body, kind = output.written(mode, await asyncio.to_thread(list, found))
            return web.Response(body=body, content_type=kind, charset="utf-8")
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=UTF-8"})
        await response.prepare(request)
        canned = self.canned(form["search"])
        if canned is not None:
            for chunk in canned:
                await response.write(chunk)
            return response
        lines = _export_lines(found, fault)
        # A search takes its time, and services may share this event loop.
        while piece := await asyncio.to_thread(_piece, lines):
            await response.write(piece)
        if fault.cut_after_rows is not None and request.transport:
            request.transport.abort()
        return response

    async def _create_job(self, request: web.Request) -> web.Response:
        form = await _form(request)
        self.searches.append(form)
        rows = await asyncio.to_thread(list, self._found(form))
        if form.get("exec_mode") == "oneshot":
            return _page(form, rows)
        sid = f"{datetime.now(UTC).timestamp():.3f}_{secrets.token_hex(2)}"
        self._jobs[sid] = _Job(form["search"], rows)
        if len(self._jobs) > _KEPT_JOBS:
            del self._jobs[next(iter(self._jobs))]
        return output.created_job(form, sid)

    async def _list_jobs(self, request: web.Request) -> web.Response:
        shown = [(job.search, job.content(sid)) for sid, job in self._jobs.items()]
        return output.entries(await _form(request), shown)

    async def _show_job(self, request: web.Request) -> web.Response:
        sid, form = request.match_info["sid"], await _form(request)
        if (job := self._jobs.get(sid)) is None:
            return _unknown_job(form)
        return output.entries(form, [(job.search, job.content(sid))])

    async def _delete_job(self, request: web.Request) -> web.Response:
        form = await _form(request)
        if self._jobs.pop(request.match_info["sid"], None) is None:
            return _unknown_job(form)
        return output.messages(form, 200, "INFO", "Search job cancelled.")

    async def _results(self, request: web.Request) -> web.Response:
        form = await _form(request)
        job = self._jobs.get(request.match_info["sid"])
        return _page(form, job.rows) if job else _unknown_job(form)

    async def _create_index(self, request: web.Request) -> web.Response:
        form = await _form(request)
        name = form.get("name", "")
        if not name or name in self.indexes:
            status, reason = (409, f"Index name={name} already exists.") if name else (400, "name is missing")
            return output.messages(form, status, "ERROR", reason)
        self.index(name)
        return output.entries(form, [(name, {})], 201)

    async def _list_indexes(self, request: web.Request) -> web.Response:
        return output.entries(await _form(request), [(name, {}) for name in self.indexes])

    async def _oneshot(self, request: web.Request) -> web.Response:
        form = await _form(request)
        path = Path(form.get("name", ""))
        if not await asyncio.to_thread(path.is_file):
            return output.messages(form, 400, "ERROR", "The file to be indexed is not there.")
        self.index(form.get("index", "main"), path)
        return output.entries(form, [(str(path), {})], 201)

    def _found(self, form: Form) -> Iterator[output.Row]:
        """The rows of a search; raises `SplError` at once for one that cannot be run."""
        if not form.get("search", "").strip():
            raise SplError("Empty search.")
        search = parse(form["search"], self.kv.commands())
        window = _window(dict(form) | {f"{name}_time": text for name, text in search.times.items()})
        return self._rows(search, window)

    def _rows(self, search: Search, window: Window) -> Iterator[output.Row]:
        for event in search.through(self._events(search, window)):
            yield event.shown(shaped=search.shaped)

    def _events(self, search: Search, window: Window) -> Iterator[Event]:
        """Those that match, the newest first."""
        needles = [needle.encode() for needle in search.needles]
        events = (
            event
            for name, files in self.indexes.items()
            if search.reads(name)
            for path in files
            for event in _read(path, name, needles, window)
            if search.matches(event)
        )
        return iter(sorted(events, key=lambda event: -event.time))


def _read(path: Path, index: str, needles: list[bytes], window: Window) -> Iterator[Event]:
    earliest, latest = window
    origin = {
        "host": "localhost", "index": index, "linecount": "1", "source": str(path), "sourcetype": "_json",
        "splunk_server": "simulator",
    }  # fmt: skip
    with open_inflated(path) as opened:
        for line in opened:
            raw = line.strip()
            folded = raw.lower()
            if not raw or not all(needle in folded for needle in needles):
                continue
            time = _time(raw)
            if (earliest is None or time >= earliest) and (latest is None or time < latest):
                yield Event(raw, time, origin)


def _time(raw: bytes) -> float:
    match = _RECEIVED.search(raw)
    try:
        return datetime.fromisoformat(match[1].decode()).timestamp() if match else 0.0
    except ValueError:
        return 0.0


def _window(form: Form) -> Window:
    now = datetime.now(UTC)
    bounds = []
    for name in ("earliest_time", "latest_time"):
        try:
            bounds.append(parse_time(form.get(name, ""), now))
        except ValueError:
            raise SplError(f"Invalid {name}.") from None
    return bounds[0], bounds[1]


def _export_lines(rows: Iterator[output.Row], fault: ExportFault) -> Iterator[bytes]:
    """The lines of an export: diagnostics, rows of previews, rows, the last of them marked."""
    for message in fault.messages:
        yield orjson.dumps({"messages": [message]})
    try:
        yield from _row_lines(rows, fault)
    except SplError as error:
        yield orjson.dumps({"messages": [{"type": "FATAL", "text": str(error)}]})


def _row_lines(rows: Iterator[output.Row], fault: ExportFault) -> Iterator[bytes]:
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


def _page(form: Form, rows: Sequence[output.Row]) -> web.Response:
    """What ``offset`` and ``count`` ask for; a count of 0 is everything."""
    try:
        start, count = int(form.get("offset") or 0), int(form.get("count") or _PAGE)
    except ValueError:
        raise SplError("Invalid value for argument 'count' or 'offset'.") from None
    return output.rows(form, rows[start : start + count] if count else rows[start:], start=start)


def _unknown_job(form: Form) -> web.Response:
    return output.messages(form, 404, "FATAL", "Unknown sid.")


async def _nothing(request: web.Request) -> web.Response:
    return output.entries(await _form(request), [])


async def _server(request: web.Request) -> web.Response:
    about = {"serverName": "simulator", "version": "0", "product_type": "simulator"}
    return output.entries(await _form(request), [(f"server-{request.match_info['what']}", about)])


async def _form(request: web.Request) -> dict[str, str]:
    """The arguments, in the query or as a form."""
    found = dict(request.query)
    if request.content_type == "application/x-www-form-urlencoded":
        found |= {name: str(value) for name, value in (await request.post()).items()}
    return found
