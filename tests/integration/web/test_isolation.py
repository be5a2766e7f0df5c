"""No organisation reaches another's data: every route of every service, asked by others in every way there is.

A service of the table, or a route of a service, that is new is covered as it stands: routes are those of the running
services' routers, their parameters those of the documents that they serve.
"""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
from multidict import CIMultiDict

from headrace.local.ports import EnginePorts
from headrace.local.stack import Engines
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace_services.registry import SERVICES
from tests import identities
from tests.engines import SessionEngines
from tests.integration.web.conftest import PAGES, ROWS, running_all
from tests.integration.web.routes import (
    WITHOUT_TENANTS,
    Asked,
    Request,
    Route,
    Scene,
    described_by,
    plain,
    routes_of,
)
from tests.integration.web.tenants import SHARED_KEY, Furnisher, Organisation, environment
from tests.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

# Served, and not in the service's document.
UNDESCRIBED: Final = {
    "ingress": {r"/": "a probe", r"/api/ingress/v1": "its prefix without the slash"},
    "payload_tracker": {
        r"(/app/payload-tracker/api/v1|/api/v1)?(/|/health|/openapi\.json)?": "probes and the document",
    },
    "archiver": {},
    "sources_api": {
        r"/health": "a probe",
        r"/internal/v[12]\.0/(sources|authentications/\{id\})": "for services that have the shared key",
    },
    "results_aggregator": {
        r"/api/(insights-results-aggregator/)?v2/.*": "upstream's smart proxy has a document of its own",
    },
    "assisted_events": {r"/health|.*/openapi\.json": "a probe and the document"},
}
# What takes the data to where it is read.
CONSUMING: Final = {"koku", "ros_processor", "ros_poller"}
# Routes that show an organisation nothing that only it knows, and why.
SHOWING_NOTHING: Final = {
    r"ingress GET /api/ingress/v1": "tells that the identity is good",
    r"payload_tracker GET .*/(archiveLink|kibanaLink)": "for associates; made of the request id",
    r"sources_api GET .*/application_types": "the catalogue",
    r"sources_api GET /internal/.*": "asks for the shared key",
    r"results_aggregator GET .*/report/info": "a number and times",
    r"results_aggregator GET .*/rating": "repeats the rule, and a number",
    r"results_aggregator GET .*/get_vote": "a number",
    r"results_aggregator GET .*/info": "versions",
    r"results_aggregator GET .*/v2/(content|rule/.*)": "what rules mean, the same for everybody",
    r"results_aggregator GET .*/v2/cluster/.*": "times, and hits of the rules that are described",
    r"ros_api GET .*/history": "amounts and times",
    r"results_aggregator GET /api/v1/organizations": "its own number",
    r"assisted_events GET .*/archive": "compressed",
}
# They ask by their body.
READING_POSTS: Final = r"/api/v1/.*/(reports|list|recommendations|workloads|disabled_for_clusters)"
NOBODY: Final = "nobody"
# What differs between two answers to the same question.
VOLATILE: Final = re.compile(
    r'\?X-Amz-[^"]*|"(generated_at|response_generated_at|response_timestamp)": *"[^"]*"|"(elapsed|duration)":[^,}]*'
    # What is expected and not there is silent after a while.
    r'|"state":"(in_progress|silent)"'
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(engines: SessionEngines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    directory: Path = tmp_path_factory.mktemp("isolation")
    organisations = ours, theirs, intruder = [
        Organisation(org_id, seed, f"7{org_id}") for seed, org_id in enumerate(("1001", "2002", "3003"), 1)
    ]
    rows = [
        row for row in SERVICES if (row.port is not None and row.name not in PAGES) or row.name in CONSUMING
    ]
    process = ProcessSettings(admin_port=0, stop_seconds=5.0)
    given: dict[Any, str] = {"s3": engines.s3, "postgres": engines.postgres}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(organisations).items():
            patch.setenv(name, value)
        async with (
            # The session's topics are those of its other tests, whose services would answer for our requests too.
            Engines(directory / "engines", EnginePorts.random(), given=given) as own,
            aiohttp.ClientSession() as session,
            running_all(
                engines := replace(engines, kafka=own.environment()["HEADRACE_KAFKA"]),
                rows,
                process,
                session,
                directory,
                patch,
            ) as everything,
        ):
            told = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=engines.postgres)
            await asyncio.gather(
                *(Furnisher(everything, told, directory / one.org_id, one).all() for one in (ours, theirs))
            )
            yield Scene(everything, ours, theirs, intruder, directory / "ols", routes_of(everything))


async def test_every_route_is_in_its_services_document_and_the_reverse(scene: Scene):
    everything = scene.everything
    assert everything.urls.keys() == {row.name for row in ROWS}
    undescribed = [
        str(route)
        for route in scene.routes
        if not route.item
        and not any(re.fullmatch(pattern, route.path) for pattern in UNDESCRIBED.get(route.service, {}))
    ]
    assert undescribed == []
    served = {(route.service, route.method, plain(route.path)) for route in scene.routes}
    unserved = [
        (service, *key)
        for service in everything.documents
        for key in described_by(everything, service)
        if (service, *key) not in served
    ]
    assert unserved == []


async def test_no_read_shows_another_organisations_data_and_each_shows_its_own(scene: Scene):
    ours, theirs = scene.ours, scene.theirs
    foreign: list[Request] = []
    own: list[Request] = []
    for spellings in scene.operations():
        for number, route in enumerate(spellings):
            if not is_read(route) or route.service in WITHOUT_TENANTS:
                continue
            (body, *_) = scene.bodies(route, ours)
            asking = [*theirs.credentials(route.service).items()]
            for owners in ((ours,), (theirs, ours), (theirs,)):
                paths = {
                    *scene.paths(route, *owners),
                    *(scene.questions(route, *owners) if not number else ()),
                }
                foreign += [(route, path, asking, body) for path in paths]
            asking = [*ours.credentials(route.service).items()]
            paths = {*scene.paths(route, ours), *scene.questions(route, ours)} if not number else set()
            own += [(route, path, asking, body) for path in paths]
    assert_isolated(await scene.all(foreign), ours.secrets)
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    answers = await scene.all(own)
    assert_isolated(answers, theirs.secrets)
    for answer in answers:
        if not answer.route.is_open:
            seen[answer.route.service][str(answer.route)] += len(answer.shown(ours.secrets))
    blind = [
        name
        for routes in seen.values()
        for name, count in routes.items()
        if not count and not any(re.fullmatch(pattern, name) for pattern in SHOWING_NOTHING)
    ]
    assert not blind, "\n".join(blind)
    # LightSpeed has no route that reads what was said.
    assert seen.keys() == scene.everything.urls.keys() - WITHOUT_TENANTS.keys() - {"ols"}
    for path in ("/metrics", "/health"):
        async with scene.everything.session.get(scene.everything.admin_url + path) as response:
            text = await response.text()
        assert [secret for secret in ours.secrets | theirs.secrets if secret in text] == []


def is_read(route: Route) -> bool:
    return route.method == "GET" or (route.method == "POST" and bool(re.fullmatch(READING_POSTS, route.path)))


def assert_isolated(answers: list[Asked], secrets: set[str]) -> None:
    """None shows a secret, and none is a fault of the service."""
    wrong = [
        f"{sorted(shown)} {answer}"
        for answer in answers
        if (shown := answer.shown(secrets)) or answer.status >= 500
    ]
    assert not wrong, "\n".join(wrong)


async def snapshot(scene: Scene) -> dict[str, tuple[int, str]]:
    """What the first organisation sees of itself, and what LightSpeed keeps of its user."""
    requests: list[Request] = []
    for route, *_ in scene.operations():
        if route.method == "GET" and not route.is_open and route.service not in WITHOUT_TENANTS:
            asking = [*scene.ours.credentials(route.service).items()]
            more = scene.questions(route, scene.ours) if "request_id" in route.query else ()
            requests += [(route, path, asking, None) for path in (*scene.paths(route, scene.ours), *more)]
    found = {
        f"{answer.route} {answer.url}": (answer.status, VOLATILE.sub("", answer.body))
        for answer in await scene.all(requests)
    }
    for path in await asyncio.to_thread(lambda: sorted(scene.user_data.rglob("*.json"))):
        text = path.read_text()
        if scene.ours.user in text:
            found[str(path)] = 0, text
    return found


async def assert_unchanged(scene: Scene, before: dict[str, tuple[int, str]]) -> None:
    after = await snapshot(scene)
    changed = {name: (before[name], after.get(name)) for name in before if before[name] != after.get(name)}
    assert not changed, "\n".join(f"{name}: {change}" for name, change in changed.items())


async def test_no_write_of_another_organisation_changes_anything(scene: Scene):
    ours, intruder = scene.ours, scene.intruder
    before = await snapshot(scene)
    assert len(before) > 50
    assert any(ours.namespace in body for _, body in before.values())
    await assert_unchanged(scene, before)
    requests: list[Request] = []
    for route, *_ in scene.operations():
        if route.method == "GET" or route.service in WITHOUT_TENANTS:
            continue
        asking = [*intruder.credentials(route.service).items()]
        for owners in ((ours,), (intruder, ours)):
            for path in scene.paths(route, *owners):
                requests += [(route, path, asking, body) for body in scene.bodies(route, ours)]
        for header in route.headers:
            for request_id in ours.requests.values():
                # As if it were the first one's cluster.
                sender = [*intruder.system(ours.cluster).items(), (header, request_id)]
                requests += [(route, route.path, sender, body) for body in scene.bodies(route, ours)]
    answers = await scene.all(requests)
    # Ids that the intruder sent may stand in rows of its own.
    assert_isolated(answers, ours.secrets - {value for values in ours.known.values() for value in values})
    assert 202 in {answer.status for answer in answers if answer.route.service == "ingress"}
    for request_id in ours.requests.values():
        await eventually(lambda of=request_id: ended(scene, of), every_seconds=0.3)
    await assert_unchanged(scene, before)


async def ended(scene: Scene, request_id: str) -> bool:
    """Whether the archiver has done with what the intruder sent under this id."""
    (route,) = [route for route in scene.routes if route.path == "/api/v1/payloads/{request_id}"]
    asking = [*scene.intruder.identity.items()]
    answer = await scene.ask((route, f"/api/v1/payloads/{request_id}", asking, None))
    assert re.search(r'"service":"archiver"[^}]*"status":"(success|error)"', answer.body), answer
    return True


async def test_no_odd_identity_reaches_an_organisations_data_or_breaks_a_service(scene: Scene):
    ours = scene.ours
    before = await snapshot(scene)
    asked = [
        (what, route, headers)
        for turn, spellings in enumerate(scene.operations())
        for number, (what, headers) in enumerate(strangers(scene, spellings[0].service).items())
        # A service reads all its callers alike: each meets every third of its operations, nobody meets all.
        if what == NOBODY or number % 3 == turn % 3
        # Each in one spelling, in turn.
        for route in (spellings if what == NOBODY else [spellings[number % len(spellings)]])
    ]
    requests: list[Request] = []
    for number, (_, route, headers) in enumerate(asked):
        known = scene.questions(route, ours) if "request_id" in route.query else scene.paths(route, ours)
        paths = list(known)
        # Nobody's secret but the senders': some are organisations of their own, and may keep what they write.
        (body, *_) = scene.bodies(route, scene.theirs)
        requests.append((route, paths[number % len(paths)], list(headers.items()), body))
    found = []
    for (what, route, _), answer in zip(asked, await scene.all(requests), strict=True):
        tenants = route.service not in WITHOUT_TENANTS
        if answer.status >= 500 or (tenants and answer.shown(ours.secrets)):
            found.append((what, str(answer)))
        if tenants and what == NOBODY and not route.is_open and answer.status not in {400, 401, 404}:
            found.append(("open", str(answer)))
    assert not found, "\n".join(map(str, found))
    await assert_unchanged(scene, before)


def strangers(scene: Scene, service: str) -> dict[str, CIMultiDict[str]]:
    """Who is not the first organisation, whatever they say, in each of the ways a service may know callers."""
    ours, theirs = scene.ours, scene.theirs
    found = {NOBODY: CIMultiDict[str]()} | identities.odd(ours.org_id, theirs.org_id)
    if service == "sources_api":
        found |= keys(ours, theirs)
    token = ours.credentials(service).get("Authorization")
    return found | (tokens(token) if token else {})


def keys(ours: Organisation, theirs: Organisation) -> dict[str, CIMultiDict[str]]:
    """The headers of a service that acts for any organisation, without its key."""
    mine, named = [*theirs.identity.items()], ("x-rh-sources-org-id", ours.org_id)
    account = ("x-rh-sources-account-number", ours.account)
    found = {
        "an organisation without a key": [named],
        "an account without a key": [account],
        "an organisation beside another's identity": [*mine, named],
        "an account beside another's identity": [*mine, account],
        "the key, for another": [("x-rh-sources-psk", SHARED_KEY), ("x-rh-sources-org-id", theirs.org_id)],
        "the key, for another than the identity": [*mine, ("x-rh-sources-psk", SHARED_KEY), named],
        "the key cut": [("x-rh-sources-psk", SHARED_KEY[:-1]), named],
        "a wrong key": [("x-rh-sources-psk", "x"), named],
        "an empty key": [("x-rh-sources-psk", ""), named],
        "a key that is no text": [("x-rh-sources-psk", "\udcff"), named],
    }
    return {name: CIMultiDict(headers) for name, headers in found.items()}


def tokens(whole: str) -> dict[str, CIMultiDict[str]]:
    """What is nearly this credential."""
    scheme, _, token = whole.partition(" ")
    found = {
        "two credentials": [f"{scheme} x", whole],
        "a credential twice": [whole, whole],
        "cut": [whole[:-1]],
        "longer": [f"{whole}x"],
        "in capitals": [f"{scheme} {token.upper()}"],
        "of another scheme": [f"Basic {token}"],
        "that is no text": [f"{whole}\udcff"],
        "without a scheme": [token],
        "empty": [""],
    }
    return {name: CIMultiDict(("Authorization", text) for text in texts) for name, texts in found.items()}
