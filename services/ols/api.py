"""The service's HTTP, as clients of openshift/lightspeed-service know it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from headrace.contracts.message import utc_now
from headrace.runtime.logging import get_logger
from headrace.runtime.metrics import exposition
from headrace.runtime.temporary import passes
from headrace.web.errors import json_errors, json_response
from services.ols import metrics, records
from services.ols.authentication import Authentication
from services.ols.bodies import B, FeedbackRequest, LLMRequest, parsed
from services.ols.errors import Problem, error_body, problem, problems
from services.ols.handlers import Question, Questions, answered
from services.ols.openapi import document, page
from services.ols.store import UserData, reason_of
from services.ols.streaming import stream

_log = get_logger(__name__)

_PLACE_SECONDS: Final = 5.0
_PROBES: Final = frozenset({"/readiness", "/liveness", "/metrics"})
_DISABLED: Final = "Forbidden: Feedback is currently disabled."


@dataclass(frozen=True)
class Api:
    """The handlers and what they stand on. ``places`` bounds the bodies and answers in memory."""

    authentication: Authentication
    questions: Questions
    user_data: UserData
    places: asyncio.Semaphore
    max_body_bytes: int
    not_ready: Callable[[], str]

    def application(self) -> web.Application:
        """Every route."""
        app = web.Application(
            middlewares=[_measured, json_errors(error_body), problems], client_max_size=self.max_body_bytes
        )
        routes: dict[tuple[str, str], Handler] = {
            ("GET", "/readiness"): self.readiness,
            ("GET", "/liveness"): self.liveness,
            ("GET", "/metrics"): self.scrape,
            ("GET", "/openapi.json"): self.openapi,
            ("GET", "/docs"): self.docs,
            ("GET", "/v1/mcp/client-auth-headers"): self.client_auth_headers,
            ("POST", "/authorized"): self.authorized,
            ("POST", "/v1/query"): self.query,
            ("POST", "/v1/streaming_query"): self.streaming_query,
            ("POST", "/v1/feedback"): self.feedback,
            ("GET", "/v1/feedback/status"): self.feedback_status,
        }
        for (method, path), handler in routes.items():
            if method == "GET":
                app.router.add_get(path, handler)
            else:
                app.router.add_post(path, handler)
            app.router.add_route("*", f"{path}/", _without_slash)
        return app

    async def readiness(self, _request: web.Request) -> web.Response:
        """Whether it may be asked."""
        if cause := self.not_ready():
            raise problem(503, "Service is not ready", cause)
        return json_response({"ready": True, "reason": "service is ready"})

    async def liveness(self, _request: web.Request) -> web.Response:
        """It runs."""
        return json_response({"alive": True})

    async def scrape(self, _request: web.Request) -> web.Response:
        """The metrics of the process."""
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def openapi(self, _request: web.Request) -> web.Response:
        """What is served here."""
        return json_response(document())

    async def docs(self, _request: web.Request) -> web.Response:
        """The same for people, without a script."""
        return web.Response(text=page(), content_type="text/html")

    async def client_auth_headers(self, request: web.Request) -> web.Response:
        """Which MCP servers want headers of the caller: none, for there are none."""
        await self.authentication.caller(request)
        return json_response({"servers": []})

    async def authorized(self, request: web.Request) -> web.Response:
        """Who asks, if it may."""
        caller = await self.authentication.caller(request)
        return json_response(
            {
                "user_id": caller.user_id,
                "username": caller.user_name,
                "skip_user_id_check": caller.chosen,
            }
        )

    async def query(self, request: web.Request) -> web.StreamResponse:
        """A question, answered at once."""
        async with self._question(request) as question:
            await self.questions.complete(question)
            return json_response(answered(question))

    async def streaming_query(self, request: web.Request) -> web.StreamResponse:
        """A question, answered piece by piece."""
        async with self._question(request) as question:
            return await stream(request, self.questions, question)

    async def feedback(self, request: web.Request) -> web.Response:
        """What somebody thinks of an answer, on disk before it is acknowledged."""
        if not self.user_data.keeps_feedback:
            raise Problem(403, _DISABLED)
        caller = await self.authentication.caller(request)
        async with self._place():
            sent = await self._body(FeedbackRequest, request)
            try:
                await self.user_data.feedback(records.feedback(caller.user_id, sent, utc_now()))
            except (OSError, ValueError) as error:
                _log.error("user_data_not_stored", kind="feedback", reason=reason_of(error))
                status = 503 if passes(error) else 500
                raise problem(status, "Error storing user feedback", reason_of(error)) from None
        return json_response({"response": "feedback received"})

    async def feedback_status(self, _request: web.Request) -> web.Response:
        """Whether feedback is kept."""
        enabled = self.user_data.keeps_feedback
        return json_response({"functionality": "feedback", "status": {"enabled": enabled}})

    @asynccontextmanager
    async def _question(self, request: web.Request) -> AsyncIterator[Question]:
        caller = await self.authentication.caller(request)
        async with self._place():
            sent = await self._body(LLMRequest, request)
            yield await self.questions.prepare(caller, sent)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_PLACE_SECONDS):
                await self.places.acquire()
        except TimeoutError:
            raise problem(503, "Service is not available", "too many requests at once") from None
        try:
            yield
        finally:
            self.places.release()

    async def _body(self, kind: type[B], request: web.Request) -> B:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            cause = f"The body is longer than {self.max_body_bytes} bytes"
            raise problem(413, "Request body is too large", cause) from None
        return parsed(kind, request, body)


async def _without_slash(request: web.Request) -> web.Response:
    location = request.rel_url.with_path(request.path.rstrip("/"), keep_query=True)
    return web.Response(status=307, headers={"Location": str(location)})


@web.middleware
async def _measured(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = time.perf_counter()
    response = await handler(request)
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else "other"
    metrics.SECONDS.labels(path).observe(time.perf_counter() - began)
    if path != "/metrics":
        metrics.CALLS.labels(path, str(response.status)).inc()
    if path not in _PROBES and not response.prepared:
        response.headers["X-Content-Type-Options"] = "nosniff"
    return response
