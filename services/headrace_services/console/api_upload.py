"""Uploads a file that somebody chose: to ingress, while it arrives, with a type that its name or its members show."""

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from aiohttp import BodyPartReader, MultipartReader, web

from headrace.archives import ArchiveLimits
from headrace.archives.kinds import CONTENT_TYPES, KindFinder
from headrace.contracts.identity import NAME_PATTERN
from headrace.runtime.logging import get_logger
from headrace.web.errors import Refusal
from headrace_services.console import pages
from headrace_services.console.callers import Viewer
from headrace_services.console.peers import Ingress, Sent
from headrace_services.console.site import Site

_log = get_logger(__name__)

_CHUNK_BYTES: Final = 256 << 10
# So much of a file is looked at before it is passed on.
_PEEKED_BYTES: Final = 1 << 20
_LOOK_BYTES: Final = 64 << 10
_LIMITS: Final = ArchiveLimits(max_total_bytes=64 << 20, host_tree=True)
_MAX_FIELD_BYTES: Final = 1024
_MAX_FIELDS: Final = 8
_NAME: Final = re.compile(NAME_PATTERN)
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}", re.IGNORECASE)
_NO_TYPE: Final = (
    "neither the file's name nor its contents show its type; choose one, or write a content type such as "
    "application/vnd.redhat.openshift.periodic"
)


@dataclass(frozen=True)
class Wanted:
    """What the form says beside the file."""

    kind: str = ""
    org: str = ""
    cluster: str = ""


@dataclass(frozen=True)
class UploadPages:
    """The handlers and what they stand on."""

    site: Site
    ingress: Ingress

    async def form(self, request: web.Request) -> web.Response:
        """Show the form of an upload."""
        viewer = self.site.viewer(request)
        return self.site.page(
            request, "upload.html", viewer, title="Upload", kinds=CONTENT_TYPES, sent=None, wanted=Wanted()
        )

    async def upload(self, request: web.Request) -> web.Response:
        """Pass a file on to ingress, then show its payload; a refusal shows what ingress says."""
        viewer = self.site.viewer(request)
        if request.content_type != "multipart/form-data":
            raise Refusal(415, "expected a form with a file (multipart/form-data)")
        wanted, file = await _read(await request.multipart())
        if wanted.org and viewer.is_operator and not _NAME.fullmatch(wanted.org):
            raise Refusal(400, "org: expected 1 to 255 printable ASCII characters")
        sent = await self._pass_on(viewer, wanted, file)
        _log.info("uploaded", who=viewer.name, request_id=sent.request_id, status=sent.status)
        if sent.is_accepted:
            query = {"org": wanted.org} if viewer.is_operator and wanted.org else {}
            raise web.HTTPSeeOther(pages.link(f"/payloads/{pages.part(sent.request_id)}", **query))
        return self.site.page(
            request,
            "upload.html",
            viewer,
            title="Upload",
            status=422,
            kinds=CONTENT_TYPES,
            sent=sent,
            wanted=wanted,
        )

    async def _pass_on(self, viewer: Viewer, wanted: Wanted, file: BodyPartReader) -> Sent:
        # A header cannot have control characters.
        name = "".join(c for c in file.filename or "" if c.isprintable())[:255]
        finder = KindFinder(name, _LIMITS)
        begun: list[bytes] = []
        chosen = CONTENT_TYPES.get(wanted.kind, wanted.kind)
        if chosen and not _TYPE.fullmatch(chosen):
            raise Refusal(
                400, "type: expected a content type such as application/vnd.redhat.openshift.periodic"
            )
        while not chosen and not finder.kind and sum(map(len, begun)) < _PEEKED_BYTES:
            chunk = await file.read_chunk(_LOOK_BYTES)
            if not chunk:
                break
            begun.append(chunk)
            if not finder.look(chunk):
                break
        chosen = chosen or CONTENT_TYPES.get(finder.kind, "")
        if not chosen:
            raise Refusal(422, _NO_TYPE)
        org_id = (wanted.org or viewer.own) if viewer.is_operator else viewer.org_id
        if not org_id:
            raise Refusal(400, "org: expected the organisation that uploads")
        return await self.ingress.upload(
            _chunks(begun, file),
            file_name=name or "upload",
            content_type=chosen,
            request_id=uuid.uuid4().hex,
            headers=viewer.headers(org_id, cluster_id=wanted.cluster),
        )


async def _read(form: MultipartReader) -> tuple[Wanted, BodyPartReader]:
    """Return the fields before the file, and the file, which is read later."""
    fields: dict[str, str] = {}
    for _ in range(_MAX_FIELDS):
        part = await form.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader):
            raise Refusal(400, "the form contains another form")
        if part.name == "file":
            if not part.filename:
                raise Refusal(400, "file: no file was chosen")
            return Wanted(fields.get("type", ""), fields.get("org", ""), fields.get("cluster", "")), part
        text = await part.read_chunk(_MAX_FIELD_BYTES)
        if not part.at_eof() and await part.read_chunk(1):
            raise Refusal(400, f"a field has more than {_MAX_FIELD_BYTES} bytes")
        fields[part.name or ""] = text.decode(errors="replace").strip()
    raise Refusal(400, "file: the form has no file")


async def _chunks(begun: list[bytes], file: BodyPartReader) -> AsyncIterator[bytes]:
    for chunk in begun:
        yield chunk
    while chunk := await file.read_chunk(_CHUNK_BYTES):
        yield chunk
