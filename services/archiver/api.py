"""Where is the archive? Two questions, the second as storage-broker's clients ask it.

An organisation sees its own archives only; an associate sees all, and with the role gets their URLs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from aiohttp import web

from headrace.contracts.identity import Identity, IdentityError, decode_identity
from headrace.contracts.message import rfc3339
from headrace.objects.store import ObjectStore
from headrace.web.caller import sent_identity
from headrace.web.errors import json_errors, json_response
from services.archiver.openapi import PATH, document
from services.archiver.settings import ArchiverSettings
from services.archiver.store import Archive, ArchiveTable

_ROLE: Final = "platform-archive-download"
_MAX_REQUEST_ID_BYTES: Final = 1024


@dataclass(frozen=True)
class Api:
    """The handlers and what they stand on."""

    table: ArchiveTable
    stores: Mapping[str, ObjectStore]
    settings: ArchiverSettings

    def application(self) -> web.Application:
        """Every route."""
        app = web.Application(middlewares=[json_errors(lambda _status, message: {"message": message})])
        app.router.add_get("/", self.alive)
        app.router.add_get(PATH, self.openapi)
        app.router.add_get("/api/archives/v1/archives", self.archives)
        app.router.add_get("/archive/url", self.url)
        app.router.add_get("/archive/url/", self.url)
        return app

    async def alive(self, _request: web.Request) -> web.Response:
        """The process answers."""
        return json_response({"status": "ok"})

    async def openapi(self, _request: web.Request) -> web.Response:
        """What there is to ask."""
        return json_response(document())

    async def archives(self, request: web.Request) -> web.Response:
        """A request's archives, also those not copied yet."""
        identity = self._identity(request)
        found = [
            archive
            for archive in await self.table.of_request(_request_id(request))
            if (identity is not None and identity.is_associate) or _may_read(identity, archive)
        ]
        return json_response({"count": len(found), "data": [_shown(archive) for archive in found]})

    async def url(self, request: web.Request) -> web.Response:
        """A short-lived URL of a request's (newest) archive."""
        identity = self._identity(request)
        request_id = _request_id(request)
        copied = [
            archive
            for archive in await self.table.of_request(request_id)
            if archive.copied_at is not None
            and archive.endpoint in self.stores
            and _may_read(identity, archive)
        ]
        if not copied:
            raise web.HTTPBadRequest(text=f"no archive of request id {request_id!r}")
        seconds = self.settings.url_seconds
        archive = copied[-1]
        url = self.stores[archive.endpoint].presign(archive.bucket, archive.key, expires_seconds=seconds)
        return json_response({"request_id": request_id, "url": url, "timeout": seconds})

    def _identity(self, request: web.Request) -> Identity | None:
        if not self.settings.auth:
            return None
        try:
            return decode_identity(sent_identity(request.headers), type_required=False)
        except IdentityError as error:
            raise web.HTTPUnauthorized(text=str(error)) from None


def _may_read(identity: Identity | None, archive: Archive) -> bool:
    if identity is None:
        return True
    if _ROLE in identity.roles:
        return True
    return archive.org_id == identity.org_id != ""


def _request_id(request: web.Request) -> str:
    request_id = request.query.get("request_id", "")
    if not request_id or len(request_id.encode()) > _MAX_REQUEST_ID_BYTES or "\0" in request_id:
        raise web.HTTPBadRequest(text="request_id: expected the id of a request, in the query")
    return request_id


def _shown(archive: Archive) -> dict[str, Any]:
    return {
        name: rfc3339(value) if hasattr(value, "tzinfo") else value
        for name, value in asdict(archive).items()
        if name not in {"id", "etag"}
    }
