"""The archiver's REST API: the archives of a request, and storage-broker's request for a URL.

An organisation sees only its own archives; an associate sees all, and with the role gets their URLs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web

from headrace.contracts.identity import Identity
from headrace.contracts.message import rfc3339
from headrace.objects.store import ObjectStore
from headrace.web.caller import IDENTITY_SCHEME, identity_of
from headrace.web.errors import Refusal, json_errors, json_response
from headrace.web.operations import Answer, Dialect, Operation, Operations
from headrace.web.parameters import Parameter, Text
from headrace.web.schemas import COUNT, MOMENT, TEXT, array, nullable, record, reference
from headrace_services.archiver.settings import ArchiverSettings
from headrace_services.archiver.store import Archive, ArchiveTable

_ROLE: Final = "platform-archive-download"

_REQUEST_ID: Final = Parameter("request_id", Text(min_characters=1, max_bytes=1024), "", is_required=True)
_DIALECT: Final = Dialect(
    title="Archiver",
    version=version("headrace"),
    description="Archives of uploads",
    refusals={
        400: "the archive does not exist, or the request id is missing",
        401: "the identity is missing or cannot be read",
        503: "PostgreSQL is away; Retry-After says when to retry",
    },
    error=record(message=TEXT),
    document_path="/api/archives/v1/openapi.json",
    schemas={
        "Archive": record(
            ("request_id", "bucket", "key", "service", "org_id", "copied_at"),
            request_id=TEXT,
            service=TEXT,
            org_id=TEXT,
            endpoint=TEXT
            | {"description": "name in ARCHIVER_ENDPOINTS; empty: the S3 server in HEADRACE_S3"},
            bucket=TEXT,
            key=TEXT,
            copied_at=nullable(MOMENT),
        )
    },
    security={"identity": IDENTITY_SCHEME},
)


@dataclass(frozen=True)
class Api:
    """The handlers and their dependencies."""

    table: ArchiveTable
    stores: Mapping[str, ObjectStore]
    settings: ArchiverSettings

    def application(self) -> web.Application:
        """Return the application with every route."""
        app = web.Application(middlewares=[json_errors(lambda _status, message: {"message": message})])
        self.operations().add_to(app)
        return app

    def operations(self) -> Operations:
        """Return every operation."""
        url = Answer(record(request_id=TEXT, url=TEXT, timeout=COUNT | {"minimum": 1}))
        return Operations(
            _DIALECT,
            [
                Operation(
                    "GET",
                    "/",
                    self.alive,
                    "Check that the process answers",
                    Answer(record(status=TEXT)),
                    is_public=True,
                ),
                Operation(
                    "GET",
                    "/api/archives/v1/archives",
                    self.archives,
                    "List a request's archives, including those that are not copied yet",
                    Answer(record(count=COUNT, data=array(reference("Archive")))),
                    (400, 401),
                    (_REQUEST_ID,),
                ),
                *(
                    Operation(
                        "GET",
                        path,
                        self.url,
                        "Get a short-lived URL of a request's newest archive",
                        url,
                        (400, 401),
                        (_REQUEST_ID,),
                        name=name,
                    )
                    for name, path in (("url", "/archive/url"), ("urlWithSlash", "/archive/url/"))
                ),
            ],
        )

    async def alive(self, _request: web.Request) -> web.Response:
        """Check that the process answers."""
        return json_response({"status": "ok"})

    async def archives(self, request: web.Request) -> web.Response:
        """List a request's archives, including those that are not copied yet."""
        identity = self._identity(request)
        found = [
            archive
            for archive in await self.table.of_request(_REQUEST_ID.read(request.query))
            if (identity is not None and identity.is_associate) or _may_read(identity, archive)
        ]
        return json_response({"count": len(found), "data": [_shown(archive) for archive in found]})

    async def url(self, request: web.Request) -> web.Response:
        """Get a short-lived URL of a request's newest archive."""
        identity = self._identity(request)
        request_id = _REQUEST_ID.read(request.query)
        copied = [
            archive
            for archive in await self.table.of_request(request_id)
            if archive.copied_at is not None
            and archive.endpoint in self.stores
            and _may_read(identity, archive)
        ]
        if not copied:
            raise Refusal(400, f"there is no archive for request id {request_id!r}")
        seconds = self.settings.url_seconds
        archive = copied[-1]
        url = self.stores[archive.endpoint].presign(archive.bucket, archive.key, expires_seconds=seconds)
        return json_response({"request_id": request_id, "url": url, "timeout": seconds})

    def _identity(self, request: web.Request) -> Identity | None:
        return identity_of(request.headers) if self.settings.auth else None


def _may_read(identity: Identity | None, archive: Archive) -> bool:
    if identity is None:
        return True
    if _ROLE in identity.roles:
        return True
    return archive.org_id == identity.org_id != ""


def _shown(archive: Archive) -> dict[str, Any]:
    return {
        name: rfc3339(value) if hasattr(value, "tzinfo") else value
        for name, value in asdict(archive).items()
        if name not in {"id", "etag"}
    }
