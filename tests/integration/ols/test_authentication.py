"""Who may ask: nobody is asked, a table of tokens, or the users of a cluster."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from headrace.runtime.errors import ConfigurationError
from tests.integration.ols.harness import FEEDBACK, NOBODY, Answer, Ols, open_ols
from tests.serving import serving

TOKEN = "planted-bearer-token"
TABLE = json.dumps({hashlib.sha256(TOKEN.encode()).hexdigest(): "user-7"})
PROTECTED = ("/v1/query", "/v1/streaming_query", "/v1/feedback", "/authorized")
NO_HEADER = (401, "Unauthorized: No auth header found")
NO_TOKEN = (401, "Unauthorized: Bearer token not found or invalid")
UNKNOWN = (403, "Forbidden: Invalid or expired token")
NO_ACCESS = (403, "Forbidden: User does not have access")


async def said(ols: Ols, path: str, **headers: str) -> tuple[int, Any]:
    answer = await ols.call("POST", path, b"not looked at", **headers)
    return answer.status, answer.detail


async def feedback(ols: Ols, token: str) -> Answer:
    return await ols.call("POST", "/v1/feedback?user_id=another", FEEDBACK, Authorization=f"Bearer {token}")


@pytest.fixture
async def guarded(root: Path) -> AsyncIterator[Ols]:
    async with open_ols(root, lenient=False, OLS_TOKENS=TABLE) as ols:
        yield ols


@pytest.mark.parametrize("path", PROTECTED)
async def test_tokens_are_asked_for(guarded: Ols, path: str):
    assert await said(guarded, path) == NO_HEADER
    for header in (TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer  "):
        assert await said(guarded, path, Authorization=header) == NO_TOKEN
    assert await said(guarded, path, Authorization="Bearer another") == UNKNOWN


async def test_a_token_is_its_users(guarded: Ols):
    assert (await feedback(guarded, TOKEN)).status == 200
    assert [record["user_id"] for record in guarded.records("feedback")] == ["user-7"]
    who = await guarded.call("POST", "/authorized", Authorization=f"bearer {TOKEN}")
    assert who.json == {"user_id": "user-7", "username": "user-7", "skip_user_id_check": False}


@pytest.mark.parametrize(
    "path", ["/v1/feedback/status", "/readiness", "/liveness", "/metrics", "/openapi.json"]
)
async def test_some_things_are_for_everybody(guarded: Ols, path: str):
    assert (await guarded.get(path)).status == 200


@pytest.mark.parametrize(
    "table", [f'{{"{TOKEN}": "user"}}', f'["{TOKEN}"]', TOKEN, '{"' + "a" * 64 + '": 7}']
)
async def test_a_table_of_another_shape_is_refused_without_showing_it(root: Path, table: str):
    with pytest.raises(ConfigurationError, match="OLS_TOKENS: expected a JSON object") as raised:
        async with open_ols(root, OLS_AUTHENTICATION="tokens", OLS_TOKENS=table):
            pass
    assert TOKEN not in str(raised.value)


async def test_without_a_table_nobody_may(root: Path):
    async with open_ols(root, lenient=False) as ols:
        assert await said(ols, "/v1/query", Authorization=f"Bearer {TOKEN}") == UNKNOWN


@pytest.mark.parametrize(
    "config", ["ols_config: {authentication_config: {module: noop}}", "dev_config: {disable_auth: true}"]
)
async def test_a_file_may_switch_it_off(root: Path, config: str):
    async with open_ols(root, config=config, lenient=False) as ols:
        assert (await ols.call("POST", "/authorized")).json == {
            "user_id": NOBODY, "username": "OLS", "skip_user_id_check": True,
        }  # fmt: skip
        assert (await ols.call("POST", "/authorized?user_id=me")).json["user_id"] == "me"


@dataclass
class Cluster:
    """Its API: who has which token, who may, and what it is like today."""

    url: str = ""
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    allowed: set[str] = field(default_factory=set)
    status: int = 201
    accesses: list[dict[str, Any]] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)
    cluster_calls: int = 0

    async def review(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert (body["apiVersion"], body["kind"]) == ("authentication.k8s.io/v1", "TokenReview")
        user = self.users.get(body["spec"]["token"])
        found = (
            {"authenticated": True, "user": user} if user else {"authenticated": False, "error": "unknown"}
        )
        return self._answer(request, body | {"status": found})

    async def access(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert (body["apiVersion"], body["kind"]) == ("authorization.k8s.io/v1", "SubjectAccessReview")
        self.accesses.append(body["spec"])
        return self._answer(request, body | {"status": {"allowed": body["spec"]["user"] in self.allowed}})

    async def version(self, request: web.Request) -> web.Response:
        self.cluster_calls += 1
        return self._answer(request, {"spec": {"clusterID": "the-cluster"}}, 200)

    def _answer(self, request: web.Request, body: Any, status: int = 0) -> web.Response:
        self.authorizations.add(request.headers.get("Authorization"))
        # As a real one does, it repeats what it was sent, whatever becomes of it.
        return web.json_response(body, status=self.status if self.status >= 400 else status or self.status)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster(
        users={
            TOKEN: {"username": "alice", "uid": "uid-alice", "groups": ["devs"]},
            "admin-token": {"username": "kube:admin", "groups": []},
            "mallory-token": {"username": "mallory", "uid": "uid-mallory"},
        },
        allowed={"alice", "kube:admin"},
    )
    app = web.Application()
    app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", cluster.review)
    app.router.add_post("/apis/authorization.k8s.io/v1/subjectaccessreviews", cluster.access)
    app.router.add_get("/apis/config.openshift.io/v1/clusterversions/version", cluster.version)
    async with serving(app) as url:
        cluster.url = url
        yield cluster


@pytest.fixture
async def in_cluster(root: Path, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Ols]:
    token = tmp_path / "token"
    token.write_text("own-token\n", encoding="utf-8")
    async with open_ols(root, lenient=False, OLS_K8S_API=cluster.url, OLS_K8S_TOKEN_FILE=str(token)) as ols:
        yield ols


async def test_a_user_of_the_cluster_has_its_uid(in_cluster: Ols, cluster: Cluster):
    assert (await feedback(in_cluster, TOKEN)).status == 200
    assert [record["user_id"] for record in in_cluster.records("feedback")] == ["uid-alice"]
    assert cluster.accesses == [
        {
            "user": "alice",
            "groups": ["devs"],
            "nonResourceAttributes": {"path": "/ols-access", "verb": "get"},
        }
    ]
    assert cluster.authorizations == {"Bearer own-token"}


async def test_the_administrator_has_the_clusters_id(in_cluster: Ols, cluster: Cluster):
    for _ in range(2):
        assert (await feedback(in_cluster, "admin-token")).status == 200
    assert {record["user_id"] for record in in_cluster.records("feedback")} == {"the-cluster"}
    assert cluster.cluster_calls == 1


async def test_others_are_refused(in_cluster: Ols):
    assert await said(in_cluster, "/v1/query") == NO_HEADER
    assert await said(in_cluster, "/v1/query", Authorization="Bearer ") == NO_TOKEN
    assert await said(in_cluster, "/v1/query", Authorization="Bearer another") == UNKNOWN
    assert await said(in_cluster, "/v1/query", Authorization="Bearer mallory-token") == NO_ACCESS


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_a_cluster_that_does_not_tell_is_503_and_lets_nobody_in(
    in_cluster: Ols, cluster: Cluster, status: int, capfd
):
    cluster.status = status
    answer = await feedback(in_cluster, TOKEN)
    assert answer.status == 503
    assert answer.detail["response"] == "Service is not available"
    assert "the Kubernetes API" in answer.detail["cause"]
    assert in_cluster.files("feedback") == []
    output = "".join(capfd.readouterr())
    assert TOKEN not in answer.text + output
    assert "own-token" not in answer.text + output


async def test_a_pod_with_a_service_account_asks_its_cluster(root: Path, cluster: Cluster, tmp_path: Path):
    (tmp_path / "token").write_text("own-token", encoding="utf-8")
    variables: dict[str, Any] = {"OLS_K8S_API": cluster.url, "OLS_TOKENS": TABLE}
    for file, expected in (("token", "uid-alice"), ("none", "user-7")):
        async with open_ols(root, lenient=False, OLS_K8S_TOKEN_FILE=str(tmp_path / file), **variables) as ols:
            who = await ols.call("POST", "/authorized", Authorization=f"Bearer {TOKEN}")
            assert who.json["user_id"] == expected


async def test_a_cluster_that_is_not_there_is_told_at_the_start(root: Path, tmp_path: Path):
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "OLS_AUTHENTICATION: got 'k8s', but neither"),
        ({"OLS_K8S_API": "http://127.0.0.1:9"}, "OLS_K8S_TOKEN_FILE: got "),
    )
    for variables, text in refused:
        with pytest.raises(ConfigurationError, match=text):
            async with open_ols(
                root, OLS_AUTHENTICATION="k8s", OLS_K8S_TOKEN_FILE=str(tmp_path / "none"), **variables
            ):
                pass
