"""The service's HTTP API, compatible with clients of openshift/lightspeed-service."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.metadata import version
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from headrace.contracts.message import utc_now
from headrace.runtime.logging import get_logger
from headrace.runtime.temporary import passes
from headrace.web.admin import scrape
from headrace.web.errors import json_errors, json_response
from headrace.web.operations import JSON, Answer, Body, Dialect, Operation, Operations, summary_of
from headrace.web.schemas import BOOLEAN, COUNT, OBJECT, TEXT, Json, array, record, reference
from headrace_services.ols import records
from headrace_services.ols.bodies import B, FeedbackRequest, LLMRequest, parsed
from headrace_services.ols.callers import USER_ID, Authentication
from headrace_services.ols.handlers import Question, Questions, answered
from headrace_services.ols.metrics import CALLS, SECONDS
from headrace_services.ols.refusals import Problem, error_body, problem
from headrace_services.ols.store import UserData, reason_of
from headrace_services.ols.streaming import stream

_log = get_logger(__name__)

_PLACE_SECONDS: Final = 5.0
_PROBES: Final = frozenset({"/readiness", "/liveness", "/metrics"})
_DISABLED: Final = "Forbidden: Feedback is currently disabled."

_DIALECT: Final = Dialect(
    title="ols",
    version=version("headrace"),
    refusals={
        400: "The conversation id is not a UUID, or the Authorization header cannot be read.",
        401: "The request has no bearer token.",
        403: "The token is unknown or does not allow the operation, or feedback is disabled.",
        408: "The body did not arrive in time.",
        413: "The question does not fit into the LLM's context, or the body is too long.",
        422: "The body or a value in it is invalid.",
        500: "The LLM gave no answer, or the file could not be written.",
        503: (
            "The LLM, the Kubernetes API or the disk is not available now, or too many requests are in "
            "progress; Retry-After says when to retry."
        ),
    },
    error=record(detail=TEXT),
    errors={
        400: {"anyOf": [reference("Cause"), reference("Error")]},
        422: {"anyOf": [reference("HTTPValidationError"), reference("Cause")]},
    }
    | dict.fromkeys((413, 500, 503), reference("Cause")),
    schemas={
        "Cause": record(detail=record(response=TEXT, cause=TEXT)),
        "HTTPValidationError": record(
            detail=array(record(type=TEXT, loc=array({"anyOf": [TEXT, {"type": "integer"}]}), msg=TEXT))
        ),
        "LLMResponse": record(
            conversation_id=TEXT,
            response=TEXT,
            referenced_documents=array(record(doc_url=TEXT, doc_title=TEXT)),
            truncated=BOOLEAN,
            input_tokens=COUNT,
            output_tokens=COUNT,
            available_quotas=OBJECT,
            tool_calls=array(OBJECT),
            tool_results=array(OBJECT),
        ),
        "FeedbackResponse": record(response=TEXT),
        "StatusResponse": record(functionality=TEXT, status=record(enabled=BOOLEAN)),
        "AuthorizationResponse": record(user_id=TEXT, username=TEXT, skip_user_id_check=BOOLEAN),
        "ClientAuthHeadersResponse": record(servers=array(OBJECT)),
        "ReadinessResponse": record(ready=BOOLEAN, reason=TEXT),
        "LivenessResponse": record(alive=BOOLEAN),
    },
    security={"bearer": {"type": "http", "scheme": "bearer"}},
    common_refusals=(400, 401, 403, 503),
)
# Further refusals of operations with a body.
_OF_BODY: Final = (408, 413, 422, 500)


@dataclass(frozen=True)
class Api:
    """The handlers and their dependencies. ``places`` limits the bodies and answers in memory."""

    authentication: Authentication
    questions: Questions
    user_data: UserData
    places: asyncio.Semaphore
    max_body_bytes: int
    not_ready: Callable[[], str]

    def application(self) -> web.Application:
        """Return the application with every route."""
        app = web.Application(
            middlewares=[_measured, json_errors(error_body)], client_max_size=self.max_body_bytes
        )
        self.operations.add_to(app)
        for path in self.operations.document["paths"]:
            app.router.add_route("*", f"{path}/", _without_slash)
        return app

    @cached_property
    def operations(self) -> Operations:
        """Return every operation."""

        def public(path: str, handler: Handler, answer: Answer, *refusals: int, name: str = "") -> Operation:
            summary = summary_of(handler)
            return Operation("GET", path, handler, summary, answer, refusals, name=name, is_public=True)

        def asking(
            method: str,
            path: str,
            handler: Handler,
            answer: Answer,
            body: type[BaseModel] | None = None,
            name: str = "",
        ) -> Operation:
            refusals, sent = (_OF_BODY, Body(body)) if body else ((), None)
            return Operation(
                method, path, handler, summary_of(handler), answer, refusals, (USER_ID,), sent, name
            )

        pieces = Answer(TEXT, media_type="text/plain", also={JSON: TEXT})
        return Operations(
            _DIALECT,
            [
                asking("POST", "/v1/query", self.query, _answer("LLMResponse"), LLMRequest),
                asking(
                    "POST", "/v1/streaming_query", self.streaming_query, pieces, LLMRequest, "streamingQuery"
                ),
                asking("POST", "/v1/feedback", self.feedback, _answer("FeedbackResponse"), FeedbackRequest),
                public(
                    "/v1/feedback/status",
                    self.feedback_status,
                    _answer("StatusResponse"),
                    name="feedbackStatus",
                ),
                asking("POST", "/authorized", self.authorized, _answer("AuthorizationResponse")),
                asking(
                    "GET",
                    "/v1/mcp/client-auth-headers",
                    self.client_auth_headers,
                    _answer("ClientAuthHeadersResponse"),
                    name="clientAuthHeaders",
                ),
                public("/docs", self.docs, Answer(TEXT, media_type="text/html")),
                public("/readiness", self.readiness, _answer("ReadinessResponse"), 503),
                public("/liveness", self.liveness, _answer("LivenessResponse")),
                public("/metrics", scrape, Answer(TEXT, media_type="text/plain"), name="metrics"),
            ],
        )

    async def readiness(self, _request: web.Request) -> web.Response:
        """Whether the service is ready to answer questions."""
        if cause := self.not_ready():
            raise problem(503, "Service is not ready", cause)
        return json_response({"ready": True, "reason": "service is ready"})

    async def liveness(self, _request: web.Request) -> web.Response:
        """Whether the process runs."""
        return json_response({"alive": True})

    async def docs(self, _request: web.Request) -> web.Response:
        """A page that lists the operations."""
        return web.Response(text=page(self.operations.document), content_type="text/html")

    async def client_auth_headers(self, request: web.Request) -> web.Response:
        """The MCP servers that need headers from the client: none, so the list is empty."""
        await self.authentication.caller(request)
        return json_response({"servers": []})

    async def authorized(self, request: web.Request) -> web.Response:
        """Who the caller is, if the caller is allowed to ask questions."""
        caller = await self.authentication.caller(request)
        return json_response(
            {
                "user_id": caller.user_id,
                "username": caller.user_name,
                "skip_user_id_check": caller.chosen,
            }
        )

    async def query(self, request: web.Request) -> web.StreamResponse:
        """Ask a question and wait for the whole answer."""
        async with self._question(request) as question:
            await self.questions.complete(question)
            return json_response(answered(question))

    async def streaming_query(self, request: web.Request) -> web.StreamResponse:
        """Ask a question and receive the answer in pieces: text or server-sent events, as media_type says."""
        async with self._question(request) as question:
            return await stream(request, self.questions, question)

    async def feedback(self, request: web.Request) -> web.Response:
        """Rate or comment on an answer."""
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
        """Whether feedback is enabled."""
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


def _answer(name: str) -> Answer:
    return Answer(reference(name))


def page(document: Json) -> str:
    """Return the document's operations as a page."""
    rows = "".join(
        f"<tr><td>{method.upper()}</td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(operation['summary'])}</td></tr>"
        for path, item in document["paths"].items()
        for method, operation in item.items()
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><title>ols</title></head><body><h1>OpenShift LightSpeed</h1>'
        f'<table>{rows}</table><p><a href="/openapi.json">openapi.json</a></p></body></html>'
    )


async def _without_slash(request: web.Request) -> web.Response:
    location = request.rel_url.with_path(request.path.rstrip("/"), keep_query=True)
    return web.Response(status=307, headers={"Location": str(location)})


@web.middleware
async def _measured(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = time.perf_counter()
    response = await handler(request)
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else "other"
    SECONDS.labels(path).observe(time.perf_counter() - began)
    if path != "/metrics":
        CALLS.labels(path, str(response.status)).inc()
    if path not in _PROBES and not response.prepared:
        response.headers["X-Content-Type-Options"] = "nosniff"
    return response
