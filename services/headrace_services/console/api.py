"""The console's pages, each declared once: its route, its parameters and its part of the OpenAPI document."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.objects.store import OCTETS
from headrace.web.caller import IDENTITY_SCHEME
from headrace.web.operations import Answer, Body, Dialect, Operation, Operations, Routing
from headrace.web.parameters import Parameter, Text
from headrace.web.schemas import BINARY, TEXT, array, record
from headrace_services.console import api_letters, api_recommendations, api_senders, guard, pages
from headrace_services.console.api_clusters import CLUSTER, CLUSTER_FILTER, CURSOR, ClusterPages
from headrace_services.console.api_flow import PARTITION, SINCE, TOPIC, FlowPages
from headrace_services.console.api_letters import AFTER, DONE, GROUP, MAX_FORM_BYTES, LetterPages
from headrace_services.console.api_payloads import FILTERS, REQUEST_ID, PayloadPages
from headrace_services.console.api_recommendations import RecommendationPages
from headrace_services.console.api_senders import SenderPages
from headrace_services.console.api_upload import UploadPages
from headrace_services.console.callers import ORGANISATION
from headrace_services.console.events import Hub, Topics
from headrace_services.console.site import Site

_HTML: Final = "text/html"
_STREAM: Final = "text/event-stream"
_FORM: Final = "application/x-www-form-urlencoded"
_WANTED: Final = Parameter(
    "topics", Text(max_bytes=2048), "", "`payload:ID`, `payloads` or `flow`", is_required=True
)
_FILE: Final = Parameter("name", Text(max_bytes=100), "", where="path")
_LETTERS: Final = Parameter(
    "letter", Text(max_bytes=300), "", "places of dead letters, topic:partition:offset", max_values=1000
)
_DIALECT: Final = Dialect(
    title="Console",
    version=version("headrace"),
    description="Pages for people: the flow, payloads with their reasons, dead letters, topics",
    prefixes=(pages.PREFIX,),
    refusals={
        400: "a parameter or the form is wrong; the page says which",
        401: "the identity is missing or cannot be read",
        403: "the page needs an operator's identity, or the request comes from another site",
        404: "what was asked for does not exist, or is another organisation's",
        415: "the body is not a form",
        421: "the Host header names another site",
        422: "ingress refuses the upload, or its type is unknown; the page says why",
        503: "an engine or a service is away; Retry-After says when to retry",
    },
    common_refusals=(401, 403, 503),
    refusals_to_all=(421,),
    error=TEXT,
    error_media_type=_HTML,
    security={"identity": IDENTITY_SCHEME},
    parameters=(ORGANISATION,),
)


@dataclass(frozen=True)
class Api:
    """The handlers and what they stand on."""

    site: Site
    hub: Hub
    hosts: frozenset[str]
    flow: FlowPages
    payloads: PayloadPages
    letters: LetterPages
    uploads: UploadPages
    clusters: ClusterPages
    recommendations: RecommendationPages
    senders: SenderPages

    def application(self) -> web.Application:
        """Return the application with every route."""
        app = web.Application(
            middlewares=[
                guard.refusals_as(self.site.refusal),
                guard.known_host(self.hosts, lenient=self.site.lenient),
                guard.own_origin,
            ],
            client_max_size=MAX_FORM_BYTES,
        )
        app.on_response_prepare.append(guard.add_headers)
        begin = Operation("GET", "/", self.begin, "The first page", Answer(TEXT, media_type=_HTML))
        Routing().route(app, [begin, Operation("GET", pages.PREFIX, self.begin, "The same", begin.answer)])
        self.operations().add_to(app)
        return app

    def operations(self) -> Operations:
        """Return every operation."""
        payload = f"/payloads/{{{REQUEST_ID.name}}}"
        letter = "/dead-letters/{topic}/{partition}/{offset}"
        uploads = self.uploads
        return Operations(
            _DIALECT,
            [
                _page("/", self.flow.overview),
                _page("/payloads", self.payloads.payloads, 400, parameters=(*FILTERS, SINCE)),
                # Before the page, whose path takes slashes.
                _file(
                    f"/downloads/payload/{{{REQUEST_ID.name}}}",
                    self.payloads.download,
                    (REQUEST_ID,),
                    "upload",
                ),
                _page(payload, self.payloads.payload, 400, 404, parameters=(REQUEST_ID,)),
                _page("/dead-letters", self.letters.all, 400, parameters=(GROUP, AFTER, DONE)),
                _page("/redrive", self.letters.confirm, 400, parameters=(GROUP, _LETTERS)),
                _page(letter, self.letters.one, 400, 404, parameters=api_letters.PLACE),
                _file(
                    "/downloads/dead-letter/{topic}/{partition}/{offset}",
                    self.letters.download,
                    api_letters.PLACE,
                    "letter",
                ),
                Operation(
                    "POST",
                    "/redrive",
                    self.letters.redrive,
                    "Put dead letters back into their topics",
                    Answer(TEXT, media_type=_HTML, description="why some were not put back"),
                    (400,),
                    name="redrive",
                    body=Body(record(("letter",), letter=array(TEXT, maxItems=1000)), _FORM),
                    more_answers=(Answer(status=303, description="they were put back"),),
                ),
                _page("/clusters", self.clusters.clusters, 400, parameters=(CLUSTER_FILTER, CURSOR)),
                _page("/clusters/{cluster}", self.clusters.cluster, 400, 404, parameters=(CLUSTER,)),
                Operation(
                    "POST",
                    "/clusters/{cluster}",
                    self.clusters.decide,
                    "Switch a rule off for a cluster, or on again",
                    Answer(status=303, description="it was; Location is the cluster's page"),
                    (400, 404),
                    (CLUSTER,),
                    name="decide",
                    body=Body(
                        record(
                            ("rule_id", "error_key", "answer"),
                            rule_id=TEXT,
                            error_key=TEXT,
                            answer=TEXT | {"enum": ["disable", "enable"]},
                            justification=TEXT,
                        ),
                        _FORM,
                    ),
                ),
                *_recommendations(self.recommendations),
                _page("/senders", self.senders.all, 400, parameters=api_senders.ALL),
                _page("/topics", self.flow.topics),
                _page("/topics/{topic}", self.flow.topic, 400, 404, parameters=(TOPIC, SINCE, PARTITION)),
                _page("/upload", uploads.form),
                Operation(
                    "POST",
                    "/upload",
                    uploads.upload,
                    "Pass a file on to ingress",
                    Answer(status=303, description="ingress accepted it; Location is its payload's page"),
                    (400, 415, 422),
                    name="postUpload",
                    body=Body(
                        record(("file",), type=TEXT, org=TEXT, cluster=TEXT, file=BINARY),
                        "multipart/form-data",
                    ),
                ),
                Operation(
                    "GET",
                    "/events",
                    self.events,
                    "Hear of changes, as server-sent events",
                    Answer(TEXT, media_type=_STREAM),
                    (400,),
                    (_WANTED,),
                    answers_head=False,
                ),
                Operation(
                    "GET",
                    "/static/{name}",
                    self.static,
                    "A file that pages use",
                    Answer(BINARY, media_type=OCTETS),
                    (404,),
                    (_FILE,),
                    is_public=True,
                ),
            ],
        )

    async def begin(self, _request: web.Request) -> web.Response:
        """Lead to the first page."""
        raise web.HTTPFound(f"{pages.PREFIX}/")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream what a page wants to hear of."""
        viewer = self.site.viewer(request)
        return await self.hub.stream(request, viewer, Topics.parse(_WANTED.read(request.query)))

    async def static(self, request: web.Request) -> web.Response:
        """Answer a static file."""
        return pages.static(request, _FILE.read(request.match_info))


def _recommendations(shown: RecommendationPages) -> list[Operation]:
    listed = api_recommendations.LIST
    one = f"/recommendations/{{{api_recommendations.ID.name}}}"
    return [
        _page("/recommendations", shown.all, 400, parameters=listed),
        _page("/recommendations/without", shown.without, 400, parameters=api_recommendations.WITHOUT),
        _page(one, shown.one, 400, 404, parameters=api_recommendations.ONE),
        _file("/downloads/recommendations", shown.csv, listed, "recommendations"),
    ]


def _page(
    path: str, handler: Handler, *refusals: int, parameters: tuple[Parameter[Any], ...] = ()
) -> Operation:
    summary = (handler.__doc__ or "").partition("\n")[0].removesuffix(".")
    return Operation(
        "GET",
        path,
        handler,
        summary,
        Answer(TEXT, media_type=_HTML),
        refusals,
        parameters,
        name=f"show{_title(path)}",
    )


def _file(path: str, handler: Handler, parameters: tuple[Parameter[Any], ...], name: str) -> Operation:
    return Operation(
        "GET",
        path,
        handler,
        f"Download {name}",
        Answer(BINARY, media_type=OCTETS),
        (400, 404),
        parameters,
        name=f"download{name.title()}",
        answers_head=False,
    )


def _title(path: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in path).title().split()
    return "".join(words) or "Overview"
