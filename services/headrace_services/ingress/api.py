"""Ingress' routes, under both prefixes, and the document that describes them."""

import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.contracts.headers import IDENTITY_HEADER, REQUEST_ID_HEADER
from headrace.runtime import tracing
from headrace.runtime.logging import get_logger
from headrace.web.errors import Refusal, json_response
from headrace.web.operations import Answer, Body, Dialect, Header, Operation, Operations, Routing
from headrace.web.parameters import Custom, Parameter
from headrace.web.schemas import BINARY, TEXT, reference
from headrace_services.ingress.callers import Identities
from headrace_services.ingress.handlers import Uploads, identify, refused
from headrace_services.ingress.request_ids import (
    MAX_LENGTH,
    PATTERN,
    REQUEST_ID,
    is_valid,
    new_request_id,
    sent_request_id,
)
from headrace_services.ingress.schemas import FORM, PART_TYPES, SCHEMAS, TEST
from headrace_services.ingress.settings import IngressSettings
from headrace_services.ingress.store import FileStager, Stager
from headrace_services.ingress.tracking import ASKED, VERBOSITY, Tracking

_log = get_logger(__name__)

PREFIXES: Final = ("/api/ingress/v1", "/r/insights/platform/ingress/v1")
_PLAIN: Final = "text/plain"
_ALIVE: Final = "lubdub"
_NOT_FOUND: Final = "404 page not found\n"

# These parameters appear in the document but are read elsewhere: the id by the middleware, the form's substitutes with
# the form.
_SENT_ID: Final = Parameter(
    REQUEST_ID_HEADER.lower(),
    Custom({"type": "string", "maxLength": MAX_LENGTH, "pattern": f"^{PATTERN}$"}, str),
    "",
    "Request id of the payload; generated if it is missing.",
    where="header",
    takes_empty=True,
)
_ANY: Final = Custom(TEXT, str)
_DOWNLOADED: Final = Parameter("request_id", _ANY, "", where="path", is_rest=True)
_METADATA: Final = Parameter("metadata", _ANY, "", "Metadata as JSON, if the form has no part of that name.")
_TEST: Final = Parameter("test", _ANY, "", "`test` only tests the connection.")

_DIALECT: Final = Dialect(
    title="Ingress",
    version="1.0.0",
    description=(
        "Accepts, stores and announces uploads. Every answer contains the request id; every refusal "
        "contains the reason."
    ),
    prefixes=PREFIXES,
    refusals={
        400: "The identity, the request id or the body is missing or wrong; the text says which.",
        401: "The credential in Authorization is unknown.",
        403: "The organisation may not upload, or the payload belongs to another organisation.",
        404: "The payload tracker does not know the payload.",
        408: "The body arrived too slowly.",
        413: "The file is larger than its service may upload; the text names the limit.",
        415: "No service accepts the content type of the file part; the text says why.",
        429: "Too many uploads are in progress.",
        500: "The payload tracker does not answer, or an unexpected error was logged.",
        503: "S3 or Kafka did not confirm in time.",
    },
    error=TEXT,
    error_media_type=_PLAIN,
    document_name="getOpenapi",
    schemas=SCHEMAS,
    security={
        "identity": {
            "type": "apiKey",
            "in": "header",
            "name": IDENTITY_HEADER,
            "description": "Base64 of the identity's JSON, as a gateway sets it.",
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": (
                "Without a gateway: a known token. `User-Agent: <operator>/<version> cluster/<cluster id>` "
                "names the cluster; otherwise the archive names it."
            ),
        },
    },
    common_refusals=(401,),
    refusals_to_all=(400,),
    answers_head=False,
    parameters=(_SENT_ID,),
    headers=(
        Header(REQUEST_ID_HEADER, TEXT, "The request id of this payload."),
        Header("Retry-After", {"type": "integer"}, "Seconds to wait.", (429, 503)),
    ),
)


@dataclass(frozen=True)
class Api:
    """The handlers and their dependencies."""

    settings: IngressSettings
    identities: Identities
    uploads: Uploads
    tracking: Tracking
    stager: Stager

    def application(self) -> web.Application:
        """Return the application with every route."""
        app = web.Application(middlewares=[_upstream_answers])
        alive = Answer(TEXT, media_type=_PLAIN)
        unlisted = [Operation("GET", "/", self.alive, "Whether the process answers", alive)]
        if isinstance(self.stager, FileStager):
            download = _download(self.stager)
            archive = Answer(BINARY, media_type="application/gzip")
            unlisted.append(
                Operation(
                    "GET",
                    f"/download/{{{_DOWNLOADED.name}}}",
                    download,
                    "An upload",
                    archive,
                    (400, 404),
                    (_DOWNLOADED,),
                )
            )
        Routing(answers_head=False).route(app, unlisted)
        # A path in the document begins with a slash, so the root appears only in the spelling with the slash.
        root = Operation("GET", "", self.root, "Check whether ingress accepts the identity", alive)
        Routing(prefixes=PREFIXES, answers_head=False).route(app, [root])
        self.operations().add_to(app)
        return app

    def operations(self) -> Operations:
        """Return every operation."""
        upload = reference("Upload")
        track = Operation(
            "GET",
            f"/track/{{{ASKED.name}}}",
            self.tracking.handle,
            "Show the status of a payload",
            Answer(
                {"anyOf": [reference("Status"), reference("Payload")]},
                description="The latest status; with verbosity 2 everything that the payload tracker knows.",
            ),
            (403, 404, 500),
            (ASKED, VERBOSITY),
            name="track",
        )
        return Operations(
            _DIALECT,
            [
                Operation(
                    "GET",
                    "/",
                    self.root,
                    "Check whether ingress accepts the identity",
                    Answer({"type": "string", "enum": [_ALIVE]}, media_type=_PLAIN),
                    name="getRoot",
                ),
                Operation(
                    "POST",
                    "/upload",
                    self.uploads.handle,
                    "Upload an archive",
                    Answer(upload, 202, description="The archive is stored and announced."),
                    (403, 408, 413, 415, 429, 500, 503),
                    (_METADATA, _TEST),
                    Body(
                        FORM,
                        "multipart/form-data",
                        also={"application/x-www-form-urlencoded": TEST, "application/json": TEST},
                        part_types=PART_TYPES,
                    ),
                    name="upload",
                    description=(
                        "The file part is `file`, or `upload` if there is no `file`; it needs a file name. "
                        "Its Content-Type names the service. ingress answers 201 and 202 after the bytes "
                        "are stored and Kafka has acknowledged the announcement. After 429 and 503 the "
                        "request can be repeated with the same request id. To test the connection, send "
                        '`test=test` as a query or a form, or the JSON object `{"test": "test"}`: nothing '
                        "is stored."
                    ),
                    more_answers=(
                        Answer(upload, 200, description="The connection works; nothing is stored."),
                        Answer(upload, 201, description="The same as 202, for advisor without metadata."),
                    ),
                ),
                # Without authentication `/track` could not tell whose payloads it may show.
                *([track] if self.settings.auth else []),
                Operation(
                    "GET",
                    "/version",
                    self.version,
                    "Show version and commit of this ingress",
                    Answer(reference("Version")),
                    name="getVersion",
                    is_public=True,
                ),
            ],
        )

    async def alive(self, _request: web.Request) -> web.Response:
        """Check that the process answers."""
        return web.Response(text=_ALIVE)

    async def root(self, request: web.Request) -> web.Response:
        """Check that the process answers an authenticated sender."""
        identify(self.identities, request)
        return web.Response(text=_ALIVE)

    async def version(self, _request: web.Request) -> web.Response:
        """Show version and commit."""
        return json_response({"version": version("headrace"), "commit": self.settings.build_commit})


@web.middleware
async def _upstream_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add the request id to every answer, and upstream's bodies to routing failures."""
    sent = sent_request_id(request.headers)
    request[REQUEST_ID] = sent if sent and is_valid(sent) else new_request_id()
    tracing.annotate(request_id=request[REQUEST_ID])
    response: web.StreamResponse
    if sent and not is_valid(sent):
        response = refused(
            Refusal(
                400,
                f"Bad Request: the request id is not valid: letters, digits and ._:=+@-/ only, at most {MAX_LENGTH}",
            )
        )
    else:
        response = await _routed(request, handler)
    response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]
    return response


async def _routed(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return refused(refusal)
    except web.HTTPNotFound:
        return refused(Refusal(404, _NOT_FOUND))
    except web.HTTPMethodNotAllowed as error:
        return web.Response(status=405, headers={"Allow": ", ".join(sorted(error.allowed_methods))})
    except web.HTTPException as error:
        return error
    except Exception:  # noqa: BLE001 -- logged whole; the sender is told nothing of us
        _log.exception("unexpected_error", path=request.path)
        return refused(Refusal(500, "Internal Server Error"))


def _download(stager: FileStager) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        request_id = _DOWNLOADED.read(request.match_info)
        if not re.search(r"[A-Za-z0-9]", request_id):
            raise Refusal(400, "Bad Request: Invalid request ID")
        path = stager.path(request_id)
        if not path.is_file():
            raise Refusal(404, _NOT_FOUND)
        name = re.sub(r"[^A-Za-z0-9._~-]", "_", request_id)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}.tar.gz"', "Content-Type": "application/gzip"
        }  # fmt: skip
        return web.FileResponse(path, headers=headers)

    return handle
