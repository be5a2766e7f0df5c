"""A Kruize that answers as it is told: what a poller sees of one, faults included."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from tests.serving import serving
from tests.unit.ros_poller import answers


def refusal(status: int, message: str) -> web.Response:
    body = {"message": message, "httpcode": status, "documentationLink": "", "status": "ERROR"}
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def answer(body: Any) -> web.Response:
    return web.Response(status=201, body=orjson.dumps(body), content_type="application/json")


def one_container(_experiment: str, end: str) -> web.Response:
    return answer(answers.containers(web=answers.recommendations(end)))


@dataclass
class Kruize:
    """``respond`` makes the answer of an experiment; ``fault`` comes before it, None for no fault."""

    url: str = ""
    respond: Callable[[str, str], web.Response] = one_container
    fault: Callable[[], Awaitable[web.Response | None]] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    faults: int = 0

    @classmethod
    @asynccontextmanager
    async def serving(cls) -> AsyncIterator["Kruize"]:
        kruize = cls()
        app = web.Application()
        app.router.add_get("/health", kruize._health)
        app.router.add_post("/updateRecommendations", kruize._update)
        async with serving(app) as url:
            kruize.url = url
            yield kruize

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(text="UP")

    async def _update(self, request: web.Request) -> web.Response:
        if self.fault is not None and (failed := await self.fault()) is not None:
            self.faults += 1
            return failed
        name, end = request.query["experiment_name"], request.query["interval_end_time"]
        self.asked.append((name, end))
        return self.respond(name, end)


async def busy() -> web.Response:
    return web.Response(status=503, text="later")


async def silent() -> web.Response:
    await asyncio.sleep(30)
    return web.Response()
