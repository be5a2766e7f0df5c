"""The simulator of Kubernetes as kubectl meets it."""

import asyncio
import re
import sys
from pathlib import Path

import aiohttp
import pytest

from headrace.local.simulators.kubernetes import KubernetesSimulator
from headrace.local.simulators.kubernetes_api import age
from headrace.local.simulators.selectors import Selector
from headrace.samples.app_studio import user_signups


@pytest.fixture
async def simulator():
    async with KubernetesSimulator("host", "m01") as opened:
        yield opened


async def test_kubectl_finds_its_way(simulator, tmp_path):
    """As the document's `kubectl get ns`, and as its script reads UserSignups."""
    simulator.clusters["host"].fill(
        user_signups=user_signups(2, seed=1),
        namespaces=[{"metadata": {"name": "a"}, "status": {"phase": "Active"}}],
    )
    environment = {"HOME": str(tmp_path), "KUBECONFIG": str(simulator.write_kubeconfig(tmp_path / "config"))}

    async def kubectl(*words):
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("kubectl"), *words,
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await asyncio.wait_for(process.communicate(), 120)
        return process.returncode, output.decode(), errors.decode()

    code, output, errors = await kubectl("get", "ns", "a")
    assert (code, errors) == (0, "")
    assert [line.split()[:2] for line in output.splitlines()] == [["NAME", "STATUS"], ["a", "Active"]]
    template = "--template={{range .items}}{{.status.compliantUsername}};{{end}}"
    words = ("get", "-n", "toolchain-host-operator", "UserSignup", "-o=go-template", template)
    assert await kubectl(*words) == (0, "user1;user2;", "")


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def test_discovery_and_tables_answer_what_kubectl_asks(simulator):
    """The requests that kubectl 1.32 and 1.37 make for `get ns`, for `-A`, and for what is not there."""
    simulator.clusters["host"].fill(
        user_signups=user_signups(2, seed=1),
        namespaces=[{"metadata": {"name": "a", "creationTimestamp": "2020-01-01T00:00:00Z"}}],
    )
    async with aiohttp.ClientSession(simulator.url, headers={"Accept": TABLE}) as session:

        async def get(path):
            answer = await session.get(path)
            return answer.status, await answer.json()

        assert (await get("/version?timeout=32s"))[1]["gitVersion"] == "v1.27.3"
        # Without a context before it, as a pod asks.
        assert (await get("/api?timeout=32s"))[1]["versions"] == ["v1"]
        _, groups = await get("/host/apis?timeout=32s")
        assert [group["preferredVersion"]["groupVersion"] for group in groups["groups"]] == [
            "toolchain.dev.openshift.com/v1alpha1"
        ]
        _, known = await get("/host/api/v1?timeout=32s")
        assert [(item["name"], item["shortNames"]) for item in known["resources"]] == [("namespaces", ["ns"])]
        _, table = await get("/host/api/v1/namespaces?limit=500")
        assert (table["kind"], [column["name"] for column in table["columnDefinitions"]]) == (
            "Table", ["Name", "Status", "Age"],
        )  # fmt: skip
        assert re.fullmatch(r"\d+y", table["rows"][0]["cells"][2])
        _, table = await get("/host/apis/toolchain.dev.openshift.com/v1alpha1/usersignups?limit=500")
        assert [row["cells"][0] for row in table["rows"]] == ["user1", "user2"]
        assert {row["object"]["metadata"]["namespace"] for row in table["rows"]} == {
            "toolchain-host-operator"
        }
        _, table = await get("/host/apis/toolchain.dev.openshift.com/v1alpha1/namespaces/x/usersignups")
        assert table["rows"] == []
        status, problem = await get("/host/api/v1/namespaces/nope")
        assert (status, problem["reason"], problem["message"]) == (
            404,
            "NotFound",
            'namespaces "nope" not found',
        )
        session.headers["Accept"] = "application/json"
        _, listed = await get("/host/api/v1/namespaces?fieldSelector=metadata.name!=a")
        assert (listed["kind"], listed["apiVersion"], listed["items"]) == ("NamespaceList", "v1", [])
        _, one = await get("/host/api/v1/namespaces/a")
        assert (one["kind"], one["apiVersion"]) == ("Namespace", "v1")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (330, "5m30s"), (3600, "60m"), (10_800, "3h"), (18_300, "5h5m"),
     (86_400, "24h"), (180_000, "2d2h"), (864_000, "10d"), (86_400 * 800, "2y")],
)  # fmt: skip
def test_ages_are_told_as_kubectl_tells_them(seconds, shown):
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("selector", "fits"),
    [("a", True), ("!a", False), ("a=1", True), ("a==2", False), ("a!=2", True), ("b!=2", True),
     ("a in (1, 2),!b", True), ("a notin (1)", False), ("b notin (1)", True), ("", True)],
)  # fmt: skip
def test_selectors(selector, fits):
    assert Selector(selector).matches({"a": "1"}.get) is fits
