"""Kruize's HTTP API, as its clients know it. Source: kruize/autotune (src/main/java/com/autotune/analyzer/services)."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import asyncpg
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from headrace.runtime.logging import get_logger
from headrace.runtime.metrics import exposition
from headrace.web.errors import json_errors, json_response
from services.kruize import metrics, profiles
from services.kruize.answers import (
    Refused,
    error_body,
    moment_parameter,
    parameter,
    read_json,
    refusals,
    success,
)
from services.kruize.cache import ExperimentCache
from services.kruize.experiments import EVERYTHING, created, only_one, wanted
from services.kruize.listing import Listing, Question
from services.kruize.openapi import document
from services.kruize.profiles import Profiles
from services.kruize.recommending import Recommending
from services.kruize.results import Results
from services.kruize.settings import KruizeSettings
from services.kruize.store import ExperimentStore

_log = get_logger(__name__)

_VIEW: Final = " View registered experiments at /listExperiments"
_JSON: Final = "application/json"
# A record that is wrong fails alone, and nothing of it is stored.
_RECORDS_DEPTH: Final = 300
# Longer lists are sent while they are read.
_STREAM_BYTES: Final = 256 << 10


@dataclass(frozen=True)
class Api:
    """The handlers and what they stand on."""

    store: ExperimentStore
    cache: ExperimentCache
    results: Results
    recommending: Recommending
    listing: Listing
    profiles: Profiles
    settings: KruizeSettings

    def application(self) -> web.Application:
        """Every route."""
        app = web.Application(
            middlewares=[_timed, json_errors(error_body), refusals],
            client_max_size=self.settings.max_body_bytes,
        )
        router = app.router
        router.add_get("/health", self.health)
        router.add_get("/metrics", self.scrape)
        router.add_get("/openapi.json", self.openapi)
        router.add_post("/createExperiment", self.create_experiment)
        router.add_delete("/createExperiment", self.delete_experiment)
        router.add_get("/listExperiments", self.list_experiments)
        router.add_post("/updateResults", self.update_results)
        router.add_post("/updateRecommendations", self.update_recommendations)
        router.add_post("/generateRecommendations", self.generate_recommendations)
        router.add_get("/listRecommendations", self.list_recommendations)
        router.add_get("/listPerformanceProfiles", self.list_profiles)
        router.add_post("/createPerformanceProfile", self.create_profile)
        router.add_put("/updatePerformanceProfile", self.update_profile)
        router.add_delete("/deletePerformanceProfile", self.delete_profile)
        return app

    async def health(self, _request: web.Request) -> web.Response:
        """The database answers too: `Retryable`, that is 503, otherwise."""
        await self.store.ping()
        return web.Response(text="UP")

    async def scrape(self, _request: web.Request) -> web.Response:
        """The metrics of the process."""
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def openapi(self, _request: web.Request) -> web.Response:
        """What there is to ask."""
        return json_response(document(self.settings))

    async def create_experiment(self, request: web.Request) -> web.Response:
        """One experiment."""
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
        return success(f"Experiment registered successfully with Kruize.{_VIEW}")

    async def delete_experiment(self, request: web.Request) -> web.Response:
        """One experiment with all that belongs to it, whatever ``rm`` says."""
        sent = only_one(await read_json(request))
        name = sent.get("experiment_name")
        if not isinstance(name, str) or not await self.store.delete(name):
            raise Refused("Experiment not found!")
        self.cache.forget(name)
        return success(f"Experiment deleted successfully.{_VIEW}")

    async def list_experiments(self, request: web.Request) -> web.StreamResponse:
        """One experiment, those of a cluster and object that a body names, or all."""
        chosen = wanted(await read_json(request)) if request.body_exists else EVERYTHING
        question = Question.of({name: parameter(request, name) or "" for name in request.query}, chosen)
        return await _array(request, self.listing.experiments(question))

    async def update_results(self, request: web.Request) -> web.Response:
        """Up to a hundred records."""
        await self.results.update(await read_json(request, max_depth=_RECORDS_DEPTH))
        return success("Results added successfully! View saved results at /listExperiments.")

    async def update_recommendations(self, request: web.Request) -> web.Response:
        """Compute as of a time."""
        name, end = parameter(request, "experiment_name"), parameter(request, "interval_end_time")
        if not name or not end:
            given = {"experiment_name": name, "interval_end_time": end}
            raise Refused(", ".join(f"{key} is mandatory" for key, value in given.items() if not value))
        document = await self.recommending.at(name, moment_parameter(end))
        return _document(document)

    async def generate_recommendations(self, request: web.Request) -> web.Response:
        """The same, as of the newest result where no time is given."""
        name, end = parameter(request, "experiment_name"), parameter(request, "interval_end_time")
        if not name:
            raise Refused("experiment_name is mandatory")
        if end:
            return _document(await self.recommending.at(name, moment_parameter(end)))
        return _document(await self.recommending.latest(name))

    async def list_recommendations(self, request: web.Request) -> web.StreamResponse:
        """What was computed last, at one time, or ever."""
        latest = (parameter(request, "latest") or "").lower() != "false"
        name, end = parameter(request, "experiment_name"), parameter(request, "monitoring_end_time")
        return await _array(request, self.listing.recommendations(name, end, latest=latest))

    async def list_profiles(self, _request: web.Request) -> web.Response:
        """All of them."""
        return json_response(await self.profiles.listed())

    async def create_profile(self, request: web.Request) -> web.Response:
        """A new one."""
        return success(await self.profiles.create(await read_json(request)))

    async def update_profile(self, request: web.Request) -> web.Response:
        """One that is there."""
        return success(await self.profiles.update(await read_json(request)), HTTPStatus.OK)

    async def delete_profile(self, request: web.Request) -> web.Response:
        """One that nobody uses."""
        return success(await self.profiles.delete(parameter(request, "name")), HTTPStatus.OK)


def _document(document: bytes) -> web.Response:
    return web.Response(body=b"[" + document + b"]", status=HTTPStatus.CREATED, content_type=_JSON)


async def _array(request: web.Request, items: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """A JSON array; what is refused or fails before much of it is there is answered as an error."""
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
        # The status is gone out already: without an end the client sees that the list is not whole.
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
