"""What RBAC allows is what is shown, on every route; and when it does not tell, nothing is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from tests.integration.ros_api.harness import (
    CONTAINER,
    DETAILS,
    LISTS,
    OPENSHIFT,
    ROS_RECOMMENDATIONS,
    ROS_WORKLOADS,
    UUID_A,
    UUID_B,
    Api,
    Tenant,
    identity,
    open_api,
)
from tests.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST = "/api/rbac/v1/access/"


def entry(resource: str, *values: Any) -> dict[str, Any]:
    definitions = [{"attributeFilter": {"key": "k", "operation": "in", "value": value}} for value in values]
    return {"permission": f"cost-management:{resource}:read", "resourceDefinitions": definitions}


@dataclass
class FakeRbac:
    """A peer over HTTP, to say what a test wants; `pages` by path, every request kept."""

    port: int = 0
    pages: list[Any] = field(default_factory=list)
    status: int = 200
    hang: bool = False
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def says(self, *pages: list[dict[str, Any]], **how: Any) -> None:
        self.status, self.hang = how.get("status", 200), how.get("hang", False)
        self.requests.clear()
        self.pages = [
            {"meta": {"count": 1}, "links": {"next": f"{FIRST}?page={at + 1}" if at + 1 < len(pages) else None},
             "data": page}
            for at, page in enumerate(pages)
        ]  # fmt: skip

    async def access(self, request: web.Request) -> web.Response:
        self.requests.append((request.path_qs, dict(request.headers)))
        while self.hang:  # noqa: ASYNC110 -- a plain field is easier to script
            await asyncio.sleep(0.01)
        body = self.pages[int(request.query.get("page", "0")) % len(self.pages)] if self.pages else None
        text = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(status=self.status, body=text, content_type="application/json")


@asynccontextmanager
async def serving_rbac() -> AsyncIterator[FakeRbac]:
    fake = FakeRbac()
    app = web.Application()
    app.router.add_get(FIRST, fake.access)
    async with serving(app) as url:
        fake.port = int(url.rpartition(":")[2])
        yield fake
        fake.hang = False


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rbac() -> AsyncIterator[FakeRbac]:
    async with serving_rbac() as fake:
        yield fake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(postgres_url: str, rbac: FakeRbac) -> AsyncIterator[Api]:
    async with open_api(
        postgres_url,
        RBAC_ENABLE="true",
        RBACHOST="127.0.0.1",
        RBACPORT=str(rbac.port),
        GLOBAL_HTTP_CLIENT_TIMEOUT_SECS="3",
    ) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenant(api: Api) -> Tenant:
    """Clusters a and b, each with projects x and y."""
    tenant = await api.tenant()
    for alias, cluster_uuid in (("a", UUID_A.upper()), ("b", UUID_B)):
        await tenant.cluster(alias, cluster_uuid=cluster_uuid)
        for project in ("x", "y"):
            await tenant.app(cluster=alias, project=project)
            await tenant.namespace(project, cluster=alias)
    return tenant


EVERYTHING = {"ax", "ay", "bx", "by"}
CASES = [
    ([entry("*")], EVERYTHING),
    ([entry("openshift.cluster")], EVERYTHING),
    ([entry("openshift.project")], EVERYTHING),
    ([entry("openshift.cluster", UUID_A)], {"ax", "ay"}),
    ([entry("openshift.cluster", [UUID_A, UUID_B])], EVERYTHING),
    ([entry("openshift.cluster", f"{UUID_A},other")], {"ax", "ay"}),
    ([entry("openshift.cluster", UUID_A, UUID_B)], EVERYTHING),
    ([entry("openshift.cluster", UUID_A), entry("openshift.cluster", UUID_B)], EVERYTHING),
    ([entry("openshift.project", "y")], {"ay", "by"}),
    ([entry("openshift.cluster", UUID_B), entry("openshift.project", "y")], {"by"}),
    ([entry("openshift.cluster"), entry("openshift.project", "y")], {"ay", "by"}),
    ([entry("openshift.cluster", UUID_B), entry("openshift.project")], {"bx", "by"}),
    ([entry("openshift.cluster", UUID_B), entry("openshift.node", "n1")], {"bx", "by"}),
    ([entry("openshift.cluster", UUID_B), entry("*")], EVERYTHING),
    ([entry("openshift.node")], EVERYTHING),
    ([entry("openshift.cluster", UUID_B), entry("openshift.node")], {"bx", "by"}),
    ([entry("openshift.cluster", "%")], set()),
    ([entry("openshift.cluster", None)], set()),
    ([entry("openshift.project", "x' or true --")], set()),
]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(("entries", "visible"), CASES)
async def test_lists_show_and_count_what_is_allowed(
    api: Api, rbac: FakeRbac, tenant: Tenant, path: str, entries: list[dict[str, Any]], visible: set[str]
):
    rbac.says(entries)
    answer = await api.get(path, tenant)
    assert {item["cluster_alias"] + item["project"] for item in answer.data} == visible
    copies = 2 if path == ROS_WORKLOADS else 1
    assert answer.json["meta"]["count"] == copies * len(visible)
    if path in {OPENSHIFT, CONTAINER, ROS_RECOMMENDATIONS}:
        table = (await api.get(path, tenant, "format=csv")).table
        assert {row["cluster_alias"] + row["project"] for row in table} == visible


@pytest.mark.parametrize("path", DETAILS)
async def test_one_alone_is_unknown_to_who_may_not_see_it(
    api: Api, rbac: FakeRbac, tenant: Tenant, path: str
):
    rbac.says([entry("*")])
    ids = {item["cluster_alias"] + item["project"]: item["id"] for item in (await api.get(path, tenant)).data}
    for entries, visible in CASES:
        rbac.says(entries)
        for name, identifier in ids.items():
            answer = await api.get(f"{path}/{identifier}", tenant, all_time=False)
            assert answer.status == (200 if name in visible else 404), (entries, name)


@pytest.mark.parametrize("path", [*LISTS, *(f"{path}/{UUID_A}" for path in DETAILS)])
async def test_who_may_see_nothing_is_told_so(api: Api, rbac: FakeRbac, tenant: Tenant, path: str):
    nothing: list[list[Any]] = [
        [],
        [entry("cost_model")],
        [entry("openshift.node", "n1")],
        [{"permission": "openshift"}, {"permission": None}, {}, "x"],
    ]
    for entries in nothing:
        rbac.says(entries)
        answer = await api.get(path, tenant)
        assert (answer.status, answer.message) == (403, "User is not authorized")
    for status in (401, 403):
        rbac.says([], status=status)
        assert (await api.get(path, tenant)).status == 403


@pytest.mark.parametrize("path", [*LISTS, *(f"{path}/{UUID_A}" for path in DETAILS)])
async def test_when_rbac_does_not_tell_nothing_is_shown(api: Api, rbac: FakeRbac, tenant: Tenant, path: str):
    broken: list[Any] = [b"not json", b"[]", b"{}", b'{"data": {}}']
    for page in broken:
        rbac.says()
        rbac.pages = [page]
        assert await refused(api, tenant, path), page
    for how in ({"status": 500}, {"status": 503}, {"status": 302}):
        rbac.says([entry("*")], **how)
        assert await refused(api, tenant, path), how


async def refused(api: Api, tenant: Tenant, path: str) -> bool:
    answer = await api.get(path, tenant)
    assert "Retry-After" in answer.headers
    return (answer.status, answer.message) == (503, "unable to ask RBAC what the user may see")


async def test_an_rbac_that_hangs_or_pages_for_ever_is_given_up(api: Api, rbac: FakeRbac, tenant: Tenant):
    rbac.says([entry("*")], hang=True)
    assert await refused(api, tenant, OPENSHIFT)
    rbac.says([entry("*")])
    rbac.pages[0]["links"]["next"] = f"{FIRST}?again"
    assert await refused(api, tenant, OPENSHIFT)
    assert len(rbac.requests) <= 50


async def test_an_rbac_that_is_away_is_503(postgres_url: str):
    async with serving_rbac() as gone:
        port = str(gone.port)
    async with open_api(postgres_url, RBAC_ENABLE="true", RBACHOST="127.0.0.1", RBACPORT=port) as api:
        tenant = await api.tenant()
        await tenant.app()
        for path in LISTS:
            assert await refused(api, tenant, path)
        assert (await api.get("/status", all_time=False)).status == 200


async def test_every_page_counts_and_is_asked_in_the_callers_name(api: Api, rbac: FakeRbac, tenant: Tenant):
    rbac.says([entry("openshift.cluster", UUID_A)], [], [entry("openshift.project", "y")])
    # Another host in a link is not followed.
    rbac.pages[1]["links"]["next"] = f"http://elsewhere.invalid:1{FIRST}?page=2"
    answer = await api.get(OPENSHIFT, tenant)
    assert [item["cluster_alias"] + item["project"] for item in answer.data] == ["ay"]
    paths = [path for path, _ in rbac.requests]
    assert paths == [f"{FIRST}?application=cost-management&limit=100", f"{FIRST}?page=1", f"{FIRST}?page=2"]
    assert {headers["X-Rh-Identity"] for _, headers in rbac.requests} == {identity(tenant.org_id)}
