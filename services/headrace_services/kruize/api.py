"""Kruize's HTTP API. Source: kruize/autotune (src/main/java/com/autotune/analyzer/services)."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Final

import asyncpg
from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.runtime.logging import get_logger
from headrace.web.admin import scrape
from headrace.web.errors import json_errors, json_response
from headrace.web.operations import Answer, Body, Dialect, Operation, Operations
from headrace.web.parameters import Custom, Parameter
from headrace.web.schemas import BOOLEAN, NUMBER, OBJECT, TEXT, Json, array, record, reference
from headrace_services.kruize import metrics, profiles
from headrace_services.kruize.bodies import read_json
from headrace_services.kruize.cache import ExperimentCache
from headrace_services.kruize.experiments import EVERYTHING, created, only_one, wanted
from headrace_services.kruize.handlers import Recommender
from headrace_services.kruize.listing import NAME, QUESTION, Listing, Question
from headrace_services.kruize.parameters import moment_parameter, text_parameter
from headrace_services.kruize.profiles import Profiles
from headrace_services.kruize.refusals import Refused, error_body
from headrace_services.kruize.results import Results
from headrace_services.kruize.settings import KruizeSettings
from headrace_services.kruize.store import ExperimentStore

_log = get_logger(__name__)

_VIEW: Final = " View registered experiments at /listExperiments"
_JSON: Final = "application/json"
_MOMENT: Final = TEXT | {"description": "UTC, such as 2026-01-01T00:00:00.000Z"}
# An invalid record is refused alone and nothing of it is stored, so its depth needs only a loose limit.
_RECORDS_DEPTH: Final = 300
# Longer lists are sent while they are read.
_STREAM_BYTES: Final = 256 << 10

_EXPERIMENT_NAME: Final = text_parameter("experiment_name", is_required=True)
_END: Final = text_parameter("interval_end_time", _MOMENT, is_required=True)
_OPTIONAL_END: Final = text_parameter("interval_end_time", _MOMENT)
_MONITORING_END: Final = text_parameter("monitoring_end_time", _MOMENT)
_LATEST: Final = Parameter("latest", Custom(BOOLEAN, lambda text: text.lower() != "false"), default=True)
_PROFILE_NAME: Final = text_parameter("name")


def _outcome(status: str, **more: Json) -> Json:
    required = ("message", "httpcode", "documentationLink", "status")
    texts = {"message": TEXT, "documentationLink": TEXT, "status": TEXT | {"enum": [status]}}
    return record(required, httpcode={"type": "integer"}, **texts, **more)


def _list_of(schema: str, limit: int) -> Body:
    return Body(array(reference(schema), minItems=1, maxItems=limit))


_EXPERIMENT_TEXTS: Final = ("version", "experiment_name", "cluster_name", "performance_profile")
_DIALECT: Final = Dialect(
    title="Kruize",
    version=version("headrace"),
    refusals={
        400: "the request is invalid; the message says why",
        404: "an experiment or the path does not exist",
        408: "the body did not arrive in time",
        409: "the data is already stored",
        413: "the body is too long",
        500: "an internal error",
        503: "PostgreSQL is away; Retry-After says when to retry",
    },
    common_refusals=(400, 404, 408, 413, 500, 503),
    error=_outcome("ERROR", data={"description": "which records failed, and why"}),
    schemas={
        "Answered": _outcome("SUCCESS"),
        "Name": record(experiment_name=TEXT),
        "Experiment": record(
            (*_EXPERIMENT_TEXTS, "mode", "target_cluster"),
            **dict.fromkeys(_EXPERIMENT_TEXTS, TEXT),
            mode=TEXT | {"enum": ["monitor"]},
            target_cluster=TEXT | {"enum": ["remote"]},
            kubernetes_objects=array(OBJECT, minItems=1, maxItems=1),
            trial_settings=record((), measurement_duration=TEXT),
            recommendation_settings=record((), threshold=TEXT),
        ),
        "Record": record(
            ("experiment_name", "interval_start_time", "interval_end_time", "kubernetes_objects"),
            version=TEXT,
            experiment_name=TEXT,
            interval_start_time=_MOMENT,
            interval_end_time=_MOMENT,
            kubernetes_objects=array(OBJECT),
        ),
        "Profile": record(
            ("name", "profile_version", "slo"),
            name=TEXT,
            profile_version=NUMBER,
            k8s_type=TEXT,
            slo=record(
                ("direction", "objective_function", "function_variables"), function_variables=array(OBJECT)
            ),
        ),
    },
)


@dataclass(frozen=True)
class Api:
    """The handlers and their dependencies."""

    store: ExperimentStore
    cache: ExperimentCache
    results: Results
    recommender: Recommender
    listing: Listing
    profiles: Profiles
    settings: KruizeSettings

    def application(self) -> web.Application:
        """Return the application with every route."""
        app = web.Application(
            middlewares=[_timed, json_errors(error_body)],
            client_max_size=self.settings.max_body_bytes,
        )
        self.operations().add_to(app)
        return app

    def operations(self) -> Operations:
        """Return every operation of the API."""
        plain = Answer(TEXT, media_type="text/plain")
        said, made = Answer(reference("Answered")), Answer(reference("Answered"), 201)
        listed, computed = Answer(array(OBJECT)), Answer(array(OBJECT), 201)
        one, name = (_list_of(kind, 1) for kind in ("Experiment", "Name"))
        usage, profile = _list_of("Record", self.settings.bulk_results_limit), Body(reference("Profile"))
        get, post, put, delete = (partial(Operation, method) for method in ("GET", "POST", "PUT", "DELETE"))
        operations = [
            get("/health", self.health, "Check the database", plain, (503,), is_public=True),
            get("/metrics", scrape, "Prometheus metrics", plain, is_public=True),
            post("/createExperiment", self.create_experiment, "Create an experiment", made, (409,), body=one),
            delete("/createExperiment", self.delete_experiment, "Delete an experiment", made, body=name),
            get("/listExperiments", self.list_experiments, "List experiments", listed, (), QUESTION),
            post("/updateResults", self.update_results, "Store usage of intervals", made, (409,), body=usage),
            post(
                "/updateRecommendations",
                self.update_recommendations,
                "Compute recommendations as of a time",
                computed,
                (),
                (_EXPERIMENT_NAME, _END),
            ),
            post(
                "/generateRecommendations",
                self.generate_recommendations,
                "Compute recommendations as of a time, or of the newest result",
                computed,
                (),
                (_EXPERIMENT_NAME, _OPTIONAL_END),
            ),
            get(
                "/listRecommendations",
                self.list_recommendations,
                "List recommendations: the latest, those as of a time, or all",
                listed,
                (),
                (NAME, _MONITORING_END, _LATEST),
            ),
            get("/listPerformanceProfiles", self.list_profiles, "List profiles", listed),
            post(
                "/createPerformanceProfile",
                self.create_profile,
                "Create a profile",
                made,
                (409,),
                body=profile,
            ),
            put("/updatePerformanceProfile", self.update_profile, "Replace a profile", said, body=profile),
            delete(
                "/deletePerformanceProfile",
                self.delete_profile,
                "Delete a profile that no experiment uses",
                said,
                (),
                (_PROFILE_NAME,),
            ),
        ]
        return Operations(_DIALECT, operations)

    async def health(self, _request: web.Request) -> web.Response:
        """Check the database; raises `Retryable`, which is answered 503."""
        await self.store.ping()
        return web.Response(text="UP")

    async def create_experiment(self, request: web.Request) -> web.Response:
        """Create one experiment."""
        definition = created(await read_json(request))
        taken, has_profile = await self.store.taken(definition)
        missing_profile = Refused(f"{profiles.MISSING}{definition.performance_profile}")
        if not taken and not has_profile:
            raise missing_profile
        try:
            if taken or not await self.store.create(definition):
                raise Refused(
                    f"Experiment name already exists: {definition.experiment_name}", HTTPStatus.CONFLICT
                )
        except asyncpg.ForeignKeyViolationError:
            raise missing_profile from None
        return _success(f"Experiment registered successfully with Kruize.{_VIEW}")

    async def delete_experiment(self, request: web.Request) -> web.Response:
        """Delete an experiment with everything that belongs to it, whatever ``rm`` says."""
        sent = only_one(await read_json(request))
        name = sent.get("experiment_name")
        if not isinstance(name, str) or not await self.store.delete(name):
            raise Refused("Experiment not found!")
        self.cache.forget(name)
        return _success(f"Experiment deleted successfully.{_VIEW}")

    async def list_experiments(self, request: web.Request) -> web.StreamResponse:
        """List one experiment, those of the cluster and object in the body, or all."""
        chosen = wanted(await read_json(request)) if request.body_exists else EVERYTHING
        question = Question.of(request.query, chosen)
        return await _array(request, self.listing.experiments(question))

    async def update_results(self, request: web.Request) -> web.Response:
        """Store up to a hundred records."""
        await self.results.update(await read_json(request, max_depth=_RECORDS_DEPTH))
        return _success("Results added successfully! View saved results at /listExperiments.")

    async def update_recommendations(self, request: web.Request) -> web.Response:
        """Compute recommendations as of a time."""
        name, end = _EXPERIMENT_NAME.read(request.query), _END.read(request.query)
        if not name or not end:
            given = {"experiment_name": name, "interval_end_time": end}
            raise Refused(", ".join(f"{key} is mandatory" for key, value in given.items() if not value))
        document = await self.recommender.at(name, moment_parameter(end))
        return _document(document)

    async def generate_recommendations(self, request: web.Request) -> web.Response:
        """Compute recommendations as of a time, by default of the newest result."""
        name, end = _EXPERIMENT_NAME.read(request.query), _OPTIONAL_END.read(request.query)
        if not name:
            raise Refused("experiment_name is mandatory")
        if end:
            return _document(await self.recommender.at(name, moment_parameter(end)))
        return _document(await self.recommender.latest(name))

    async def list_recommendations(self, request: web.Request) -> web.StreamResponse:
        """List the latest recommendations, those of one time, or all."""
        name, end = NAME.read(request.query), _MONITORING_END.read(request.query)
        latest = _LATEST.read(request.query)
        return await _array(request, self.listing.recommendations(name, end, latest=latest))

    async def list_profiles(self, _request: web.Request) -> web.Response:
        """List all profiles."""
        return json_response(await self.profiles.listed())

    async def create_profile(self, request: web.Request) -> web.Response:
        """Create a profile."""
        return _success(await self.profiles.create(await read_json(request)))

    async def update_profile(self, request: web.Request) -> web.Response:
        """Replace a profile."""
        return _success(await self.profiles.update(await read_json(request)), HTTPStatus.OK)

    async def delete_profile(self, request: web.Request) -> web.Response:
        """Delete a profile that no experiment uses."""
        return _success(await self.profiles.delete(_PROFILE_NAME.read(request.query)), HTTPStatus.OK)


def _success(message: str, status: int = HTTPStatus.CREATED) -> web.Response:
    """Return the answer of a success without data."""
    body = {"message": message, "httpcode": status, "documentationLink": "", "status": "SUCCESS"}
    return json_response(body, status)


def _document(document: bytes) -> web.Response:
    return web.Response(body=b"[" + document + b"]", status=HTTPStatus.CREATED, content_type=_JSON)


async def _array(request: web.Request, items: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """Send a JSON array; a refusal or failure before its first part is sent is answered as an error."""
    stream: web.StreamResponse | None = None
    parts, size, separator = [b"["], 1, b""
    try:
        async with aclosing(items):
            async for item in items:
                parts.append(separator + item)
                size += len(item)
                separator = b","
                if size > _STREAM_BYTES:
                    if stream is None:
                        stream = web.StreamResponse(headers={"Content-Type": _JSON})
                        await stream.prepare(request)
                    await stream.write(b"".join(parts))
                    parts, size = [], 0
        parts.append(b"]")
        if stream is None:
            return web.Response(body=b"".join(parts), content_type=_JSON)
        await stream.write_eof(b"".join(parts))
    except Exception as error:
        if stream is None:
            raise
        _log.warning("list_cut_short", path=request.path, reason=str(error))
        # The status is already sent; the missing end shows the client that the list is incomplete.
        stream.force_close()
        if request.transport is not None:
            request.transport.abort()
    return stream


@web.middleware
async def _timed(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = time.perf_counter()
    response = await handler(request)
    resource = request.match_info.route.resource
    if resource is not None:
        status = "success" if response.status < 400 else "failure"
        labels = (resource.canonical.lstrip("/"), "Kruize", request.method, status)
        metrics.API_SECONDS.labels(*labels).observe(time.perf_counter() - began)
    return response
