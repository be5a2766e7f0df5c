"""An ingress that misbehaves as it is told, with SSO, accounts service and cluster API beside it."""

import asyncio
import base64
import json
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from headrace_services.ols_collector.collector import Collector
from headrace_services.ols_collector.plan import Plan
from headrace_services.ols_collector.status import Outcome
from tests.serving import serving
from tests.unit.ols_collector.data import members, names

OFFLINE_TOKEN = "planted-offline-token"
ACCESS_TOKEN = "planted-access-token"
PULL_SECRET_AUTH = base64.b64encode(b"planted-user:planted-pull-secret").decode()
DOCKER_CONFIG = {"auths": {"cloud.openshift.com": {"auth": PULL_SECRET_AUTH}}}
API_CLUSTER_ID = "0a0b0c0d-0000-4000-8000-00000000000e"


@dataclass
class Upload:
    """One attempt as the peer saw it: ``begun`` until it has the whole body."""

    status: int | str
    headers: dict[str, str] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    file_name: str = ""
    content_type: str = ""
    body: bytes = b""

    @property
    def members(self) -> dict[str, bytes]:
        return members(self.body)


@dataclass
class Peer:
    """``script`` has what each attempt gets: a status, ``hang``, ``drop`` or ``early``; then 202."""

    root: Path
    url: str = ""
    script: list[int | str] = field(default_factory=list)
    answer_headers: dict[str, str] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)
    tokens: Counter[str] = field(default_factory=Counter)
    sso_status: int = 200
    pull_secret: Any = field(default_factory=lambda: DOCKER_CONFIG)
    # Called when an attempt has come so far: head, body, answered.
    hook: Callable[[str], None] = lambda _: None
    hold: asyncio.Event | None = None
    deleted_too_soon: set[str] = field(default_factory=set)

    @property
    def accepted(self) -> set[str]:
        """Files whose archive got its 202."""
        return {name for upload in self.uploads if upload.status == 202 for name in upload.members}

    def lost(self, written: set[str]) -> set[str]:
        """Files that are neither here nor there."""
        return written - self.accepted - names(self.root)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        fate = self.script.pop(0) if self.script else 202
        found = Upload("begun", dict(request.headers))
        self.uploads.append(found)
        self.hook("head")
        if fate == "hang":
            await asyncio.sleep(600)
        if fate == "drop":
            await request.content.readany()
            _reset(request)
            return web.Response()
        if fate == "early":
            return web.json_response({"request_id": "early"}, status=202, headers={"Connection": "close"})
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            found.parts.append(part.name or "")
            found.file_name, found.content_type = part.filename or "", part.headers["Content-Type"]
            found.body = bytes(await part.read())
        self.hook("body")
        if self.hold:
            await self.hold.wait()
        found.status = fate
        self.deleted_too_soon |= found.members.keys() - names(self.root)
        # A peer that repeats what it was sent is what leaks secrets into logs.
        echo = f"no: {request.headers['Authorization']} {request.headers['Authorization'][7:]}"
        body = {"request_id": f"id-{len(self.uploads)}"} if fate == 202 else {"error": echo}
        answer = web.json_response(body, status=int(fate), headers=self.answer_headers)
        await answer.prepare(request)
        await answer.write_eof()
        self.hook("answered")
        return answer

    async def sso(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.tokens[f"{form['grant_type']!s} {form['client_id']!s}"] += 1
        if self.sso_status != 200:
            return web.json_response(dict(form), status=self.sso_status)
        return web.json_response({"access_token": ACCESS_TOKEN})

    async def accounts(self, request: web.Request) -> web.Response:
        self.tokens[request.headers["Authorization"]] += 1
        return web.json_response(self.pull_secret)

    async def secret(self, _request: web.Request) -> web.Response:
        encoded = base64.b64encode(json.dumps(self.pull_secret).encode()).decode()
        return web.json_response({"data": {".dockerconfigjson": encoded}})

    async def version(self, _request: web.Request) -> web.Response:
        return web.json_response({"spec": {"clusterID": API_CLUSTER_ID}})


def _reset(request: web.Request) -> None:
    assert request.transport is not None
    sock = request.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


@asynccontextmanager
async def open_peer(root: Path, *script: int | str, **terms: Any) -> AsyncIterator[Peer]:
    peer = Peer(root, script=list(script), **terms)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/upload", peer.upload)
    app.router.add_post("/sso", peer.sso)
    app.router.add_post("/accounts", peer.accounts)
    app.router.add_get("/api/v1/namespaces/openshift-config/secrets/pull-secret", peer.secret)
    app.router.add_get("/apis/config.openshift.io/v1/clusterversions/version", peer.version)
    async with serving(app) as url:
        peer.url = url
        yield peer


async def collect(plan: Plan) -> Outcome:
    """One cycle."""
    collector = Collector(plan)
    await collector.run()
    assert collector.status.last is not None
    return collector.status.last
