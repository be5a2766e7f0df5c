"""A Kruize that misbehaves on demand, and a Sources API: what they answer, as the processor sees it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from headrace.web.errors import json_response

DUPLICATE = "An entry for this record already exists!"

BODY: web.RequestKey[Any] = web.RequestKey("body", object)
Fault = Callable[[str, Any], web.Response | None]


def error(status: int, message: str, **more: Any) -> web.Response:
    body = {"message": message, "httpcode": status, "documentationLink": "", "status": "ERROR"}
    return web.json_response(body | more, status=status)  # whole: Kruize names every record that failed


def success(message: str, status: int = 201) -> web.Response:
    return json_response(
        {"message": message, "httpcode": status, "documentationLink": "", "status": "SUCCESS"}, status
    )


@dataclass
class KruizePeer:
    """Keeps what it is told, as Kruize would; `fault` may answer in its stead, `refuse` fails a record."""

    url: str = ""
    profiles: dict[str, Any] = field(default_factory=dict)
    experiments: dict[str, Any] = field(default_factory=dict)
    results: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    fault: Fault = lambda _path, _body: None
    refuse: Callable[[Any], str | None] = lambda _record: None
    profile_missing_text: str = "Not Found: performance_profile does not exist: "

    def called(self, path: str) -> list[Any]:
        """The bodies sent to a path."""
        return [body for _, at, body in self.calls if at == path]

    def lose_everything(self) -> None:
        """As after the loss of its database."""
        self.profiles.clear()
        self.experiments.clear()
        self.results.clear()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._watch], client_max_size=64 << 20)
        app.router.add_get("/health", self._health)
        app.router.add_get("/listPerformanceProfiles", self._list_profiles)
        app.router.add_post("/createPerformanceProfile", self._create_profile)
        app.router.add_put("/updatePerformanceProfile", self._update_profile)
        app.router.add_post("/createExperiment", self._create)
        app.router.add_delete("/createExperiment", self._delete)
        app.router.add_post("/updateResults", self._update)
        return app

    @web.middleware
    async def _watch(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        request[BODY] = body
        if request.path != "/health":
            self.calls.append((request.method, request.path, body))
        answer = self.fault(request.path, body)
        return answer if answer is not None else await handler(request)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(text="UP")

    async def _list_profiles(self, _request: web.Request) -> web.Response:
        return json_response(list(self.profiles.values()))

    async def _create_profile(self, request: web.Request) -> web.Response:
        profile = request[BODY]
        if profile["name"] in self.profiles:
            return error(409, f"Validation failed: Performance Profile already exists: {profile['name']}")
        self.profiles[profile["name"]] = profile
        return success(f"Performance Profile : {profile['name']} created successfully.")

    async def _update_profile(self, request: web.Request) -> web.Response:
        self.profiles[request[BODY]["name"]] = request[BODY]
        return success("Performance Profile updated successfully", 200)

    async def _create(self, request: web.Request) -> web.Response:
        (experiment,) = request[BODY]
        if experiment["performance_profile"] not in self.profiles:
            return error(400, self.profile_missing_text + experiment["performance_profile"])
        name = experiment["experiment_name"]
        if name in self.experiments:
            return error(409, f"Experiment name already exists: {name}")
        self.experiments[name] = experiment
        return success("Experiment registered successfully with Kruize.")

    async def _delete(self, request: web.Request) -> web.Response:
        (experiment,) = request[BODY]
        name = experiment["experiment_name"]
        if request.query.get("rm") != "true" or name not in self.experiments:
            return error(400, "Experiment not found!")
        del self.experiments[name]
        self.results = {key: body for key, body in self.results.items() if key[0] != name}
        return success("Experiment deleted successfully.")

    async def _update(self, request: web.Request) -> web.Response:
        records = request[BODY]
        failed = []
        for record in records:
            names = ("experiment_name", "interval_start_time", "interval_end_time")
            key = tuple(record[name] for name in names)
            reason = self.refuse(record)
            if key[0] not in self.experiments:
                reason = f"Not Found: experiment_name does not exist: {key[0]}"
            elif not reason and key in self.results:
                reason = DUPLICATE
            if reason is None:
                self.results[key] = record
                continue
            code = 409 if reason == DUPLICATE else 400
            errors = [{"message": reason, "httpcode": code, "documentationLink": "", "status": "ERROR"}]
            failed.append(dict(zip(names, key, strict=True)) | {"version": "1.0", "errors": errors})
        if not failed:
            return success("Results added successfully! View saved results at /listExperiments.")
        text = f"Out of a total of {len(records)} records, {len(failed)} failed to save"
        return error(400, text, data=failed)


@dataclass
class SourcesPeer:
    """The Sources API as far as it is asked."""

    url: str = ""
    application_type_id: str = "2"
    status: int = 200
    asked: list[str] = field(default_factory=list)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/sources/v3.1/application_types", self._types)
        return app

    async def _types(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["filter[name][eq]"])
        found = {"id": self.application_type_id, "name": "/insights/platform/cost-management"}
        return json_response({"data": [found], "meta": {"count": 1}, "links": {}}, self.status)
