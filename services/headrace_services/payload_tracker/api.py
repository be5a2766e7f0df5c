"""The tracker's REST API, compatible with upstream's; an organisation sees only its own payloads."""

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.contracts.message import rfc3339
from headrace.database.counts import EXACT_UP_TO, IS_ESTIMATE, Count
from headrace.database.pool import Record
from headrace.objects.store import ObjectStore
from headrace.web.caller import IDENTITY_SCHEME, has_identity, identity_of
from headrace.web.errors import Refusal, json_errors, json_response
from headrace.web.operations import Answer, Dialect, Operation, Operations, Routing
from headrace.web.parameters import Parameter, Text, shown
from headrace.web.schemas import BOOLEAN, MOMENT, NUMBER, TEXT, Json, array, mapping, record, reference
from headrace_services.payload_tracker.api_states import SCHEMAS, StatesApi
from headrace_services.payload_tracker.models import Step, durations
from headrace_services.payload_tracker.parameters import PAYLOAD_SORTING, PAYLOADS, STATUSES, VERBOSITY, Order
from headrace_services.payload_tracker.settings import TrackerSettings
from headrace_services.payload_tracker.states import PARAMETERS, States
from headrace_services.payload_tracker.store import STATUSES_COUNTED, TrackerStore

_SHOWN_CHARACTERS: Final = 128
PREFIXES: Final = ("/api/v1", "/app/payload-tracker/api/v1")

# What is left of a status at a higher verbosity number.
_FIELDS: Final = {
    1: ("service", "status", "inventory_id", "date", "status_msg"),
    2: ("service", "status", "date"),
}


_REQUEST_ID: Final = Parameter(
    "request_id",
    Text(min_characters=1),
    "",
    "percent-encode it; any form",
    where="path",
    # It may hold slashes, as it is or percent-encoded.
    is_rest=True,
)
_SERVICE: Final = Parameter("service", Text(), "")

_NUMBER: Final[Json] = {"type": "integer", "format": "int64"}
_PAYLOAD: Final = dict.fromkeys(("request_id", "account", "inventory_id", "system_id", "org_id"), TEXT)
_STATUS: Final = _PAYLOAD | dict.fromkeys(("service", "source", "status", "status_msg"), TEXT)
_TIMES: Final = {"created_at": MOMENT, "date": MOMENT}


def _page_of(item: Json, counted: int = EXACT_UP_TO) -> Json:
    return record(
        ("count", "elapsed", "data"),
        count={
            "type": "integer",
            "description": f"number of matches on all pages, exact up to {counted}",
        },
        elapsed=NUMBER | {"description": "seconds"},
        data=array(item),
        **{IS_ESTIMATE: BOOLEAN | {"description": "there if the count is an estimate"}},
    )


_DIALECT: Final = Dialect(
    title="Payload tracker",
    version="1",
    description="The statuses of payloads",
    prefixes=PREFIXES,
    refusals={
        400: "a parameter is invalid; the message names it",
        401: "the identity is missing or invalid",
        403: "the identity lacks the role or names no organisation",
        404: "the payload does not exist",
        501: "not configured",
        503: "an engine is away; Retry-After says when to retry",
    },
    common_refusals=(401, 403, 503),
    error=record(title=TEXT, message=TEXT, status={"type": "integer"}),
    schemas={
        "Payloads": _page_of(record(("id", *_PAYLOAD), id=_NUMBER, **_PAYLOAD, created_at=MOMENT)),
        "Statuses": _page_of(record(("date",), id=TEXT, **_STATUS, **_TIMES), STATUSES_COUNTED),
        "Payload": record(
            data=array(record(("date",), id=_NUMBER, **_STATUS, **_TIMES)),
            duration=mapping(
                TEXT, description="HH:MM:SS.ffffff within each `service:source`, their sum and the whole"
            ),
        ),
        **SCHEMAS,
    },
    security={"identity": IDENTITY_SCHEME},
)


@dataclass(frozen=True)
class Api:
    """The handlers and what they stand on."""

    store: TrackerStore
    states: States
    uploads: ObjectStore
    settings: TrackerSettings
    auth: bool = True

    def application(self) -> web.Application:
        """Every route, below each prefix."""
        app = web.Application(middlewares=[json_errors(error_body)])
        text = Answer(TEXT, media_type="text/plain")
        alive = Operation("GET", "/", self.alive, "Whether the process answers", text)
        health = Operation("GET", "/health", self.health, "Whether the database answers", text)
        # Probes are in no document; a path of one begins with its prefix, and these also have none.
        Routing(prefixes=("", *PREFIXES), takes_slash=True).route(app, [alive])
        Routing(prefixes=("", *PREFIXES)).route(app, [health])
        self.operations().add_to(app)
        return app

    def operations(self) -> Operations:
        """Return every operation."""

        def get(path: str, handler: Handler, summary: str, schema: Json, *rest: Any) -> Operation:
            return Operation("GET", path, handler, summary, Answer(schema), *rest)

        one = "/payloads/{request_id}"
        of_payload = (_REQUEST_ID, *PAYLOAD_SORTING.parameters, VERBOSITY)
        return Operations(
            _DIALECT,
            [
                get(
                    "/payloads", self.payloads, "Payloads", reference("Payloads"), (400,), PAYLOADS.parameters
                ),
                get(
                    f"{one}/archiveLink",
                    self.archive_link,
                    "Get a short-lived link to the upload",
                    record(url=TEXT),
                    (404,),
                    (_REQUEST_ID,),
                ),
                get(
                    f"{one}/kibanaLink",
                    self.kibana_link,
                    "Get a link to the payload's log lines",
                    record(url=TEXT),
                    (400, 404, 501),
                    (_REQUEST_ID, _SERVICE),
                ),
                get(
                    one,
                    self.payload,
                    "Show a payload's statuses",
                    reference("Payload"),
                    (400, 404),
                    of_payload,
                ),
                get(
                    "/roles/archiveLink",
                    self.archive_link_role,
                    "Check whether the client may request archive links",
                    record(allowed=BOOLEAN),
                ),
                get(
                    "/headrace/payloads",
                    self.payload_states,
                    "List payloads with what became of them, newest first",
                    reference("States"),
                    (400,),
                    PARAMETERS,
                ),
                get(
                    "/headrace/payloads/{request_id}",
                    self.payload_state,
                    "Show what became of a payload",
                    reference("PayloadState"),
                    (404,),
                    (_REQUEST_ID,),
                ),
                get(
                    "/statuses",
                    self.statuses,
                    "List statuses of all payloads",
                    reference("Statuses"),
                    (400,),
                    STATUSES.parameters,
                ),
            ],
        )

    async def alive(self, _request: web.Request) -> web.Response:
        """Check that the process answers."""
        return web.Response(text="lubdub")

    async def health(self, _request: web.Request) -> web.Response:
        """Check the database; raises `Retryable`, which is answered 503."""
        await self.store.ping()
        return web.Response(text="OK")

    async def payloads(self, request: web.Request) -> web.Response:
        """The payloads that match."""
        started = time.perf_counter()
        listing = PAYLOADS.read(request.query)
        count, rows = await self.store.payloads(listing, self._organisation(request))
        return _envelope(started, count, [_plain(row) for row in rows])

    async def statuses(self, request: web.Request) -> web.Response:
        """The statuses that match, of all payloads that the caller may see."""
        started = time.perf_counter()
        listing = STATUSES.read(request.query)
        org_id = self._organisation(request)
        count, rows = await self.store.statuses(listing, org_id)
        # Upstream's ids are texts here, and numbers everywhere else.
        shown = [_filled(_plain(row, org_id)) | {"id": str(row["id"])} for row in rows]
        return _envelope(started, count, shown)

    async def payload(self, request: web.Request) -> web.Response:
        """One payload's statuses and how long each took."""
        order, verbosity = PAYLOAD_SORTING.read(request.query), VERBOSITY.read(request.query)
        org_id = self._organisation(request)
        rows = await self._found(request, order, org_id)
        data = [_filled(_plain(row, org_id), _FIELDS.get(verbosity)) for row in rows]
        steps = [Step(row["service"], row["source"], row["date"]) for row in rows]
        return json_response({"data": data, "duration": durations(steps)})

    async def payload_states(self, request: web.Request) -> web.Response:
        """The payloads that match, with what became of them."""
        return await StatesApi(self.states).page(request, self._organisation(request))

    async def payload_state(self, request: web.Request) -> web.Response:
        """What became of one payload."""
        request_id = request.match_info["request_id"]
        answer = await StatesApi(self.states).one(request_id, self._organisation(request))
        if answer is None:
            raise _unknown(request_id)
        return answer

    async def archive_link(self, request: web.Request) -> web.Response:
        """A URL of the upload itself, for an associate with the role."""
        self._check_role(request)
        request_id = request.match_info["request_id"]
        bucket = self.settings.stage_bucket
        if "\0" in request_id or await self.uploads.head(bucket, request_id) is None:
            raise Refusal(404, f"no upload of request id {shown(request_id, _SHOWN_CHARACTERS)} is stored")
        seconds = self.settings.archive_link_seconds
        return json_response({"url": self.uploads.presign(bucket, request_id, expires_seconds=seconds)})

    async def archive_link_role(self, request: web.Request) -> web.Response:
        """Check whether the client may have such links: 200, or the error that it would get."""
        self._check_role(request)
        return json_response({"allowed": True})

    async def kibana_link(self, request: web.Request) -> web.Response:
        """Where a payload's log lines are."""
        if not self.settings.kibana_url:
            raise Refusal(501, "KIBANA_URL is not set")
        service = _SERVICE.read(request.query)
        await self._found(request, PAYLOAD_SORTING.read({}), self._organisation(request))
        url = kibana_url(self.settings, request.match_info["request_id"], service)
        return json_response({"url": url})

    async def _found(self, request: web.Request, order: Order, org_id: str | None) -> list[Record]:
        request_id = request.match_info["request_id"]
        rows = [] if "\0" in request_id else await self.store.payload(request_id, order, org_id)
        if not rows:
            raise _unknown(request_id)
        return rows

    def _organisation(self, request: web.Request) -> str | None:
        """Return the organisation whose payloads are visible, None for all. Raises 401, or 403 without organisation."""
        if not self.auth and not has_identity(request.headers):
            return None
        identity = identity_of(request.headers)
        if identity.is_associate:
            return None
        if not identity.org_id:
            raise Refusal(403, "the identity names no organisation")
        return identity.org_id

    def _check_role(self, request: web.Request) -> None:
        identity = identity_of(request.headers)
        role = self.settings.archive_link_role
        if role not in identity.roles:
            raise Refusal(403, f"the identity is not an associate's with the role {role}")


def _unknown(request_id: str) -> Refusal:
    return Refusal(404, f"payload with request id {shown(request_id, _SHOWN_CHARACTERS)} not found")


def error_body(status: int, message: str) -> dict[str, Any]:
    """Upstream's error shape."""
    return {"title": HTTPStatus(status).phrase, "message": message, "status": status}


def kibana_url(settings: TrackerSettings, request_id: str, service: str) -> str:
    """Kibana's discover page with the query that finds a payload's lines."""
    terms = [f"request_id:{_kuery(request_id)}"]
    if service:
        terms.append(f"{settings.kibana_service_field}:{_kuery(service)}")
    # Rison, Kibana's URL notation, escapes with an exclamation mark.
    query = " and ".join(terms).replace("!", "!!").replace("'", "!'")
    index = f"index:'{settings.kibana_index}'," if settings.kibana_index else ""
    return (
        settings.kibana_url
        + "?_a="
        + quote(f"({index}query:(language:kuery,query:'{query}'))", safe="():,'!")
    )


def _kuery(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _envelope(started: float, count: Count, data: list[dict[str, Any]]) -> web.Response:
    elapsed = time.perf_counter() - started
    return json_response({"count": count.number, "elapsed": elapsed, "data": data} | count.note)


def _plain(row: Record, org_id: str | None = None) -> dict[str, Any]:
    """A row as JSON; ``org_id`` is whose it is, where the row itself names nobody."""
    shown = {name: rfc3339(value) if hasattr(value, "tzinfo") else value for name, value in row.items()}
    return shown | {"org_id": shown["org_id"] or org_id or ""}


def _filled(status: dict[str, Any], fields: tuple[str, ...] | None = None) -> dict[str, Any]:
    return {name: value for name, value in status.items() if value != "" and (not fields or name in fields)}
