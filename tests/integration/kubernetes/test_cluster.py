import base64
import ssl
import subprocess
from contextlib import asynccontextmanager

import pytest
import yaml
from aiohttp import web

from headrace.kubernetes import Cluster, NotFound, contexts
from headrace.kubernetes.kubeconfig import Kubeconfig, service_account
from headrace.local.simulators.kubernetes import NAMESPACES, KubernetesSimulator
from headrace.runtime.errors import ConfigurationError, Permanent, Retryable
from headrace.runtime.retries import RetryPolicy

QUICK = RetryPolicy(attempts=3, budget_seconds=5.0, base_seconds=0.0)


def namespace(number, kind="tenant"):
    return {
        "metadata": {"name": f"ns-{number:04}", "labels": {"type": kind, "number": str(number)}},
        "spec": {},
    }


@pytest.fixture
async def simulator():
    async with KubernetesSimulator("host", "m01") as opened:
        yield opened


@pytest.fixture
def kubeconfig(simulator, tmp_path):
    return simulator.write_kubeconfig(tmp_path / "config")


@pytest.fixture
async def cluster(kubeconfig):
    async with Cluster(Kubeconfig.load(kubeconfig).access(), retry=QUICK, page_items=7) as opened:
        yield opened


async def names(items):
    return [item["metadata"]["name"] async for item in items]


async def test_an_object_is_read(simulator, cluster):
    simulator.clusters["host"].put(NAMESPACES, namespace(1))
    assert (await cluster.get(f"{NAMESPACES}/ns-0001"))["metadata"]["labels"]["number"] == "1"
    with pytest.raises(
        NotFound, match=r'cluster host answered 404 to /api/v1/namespaces/x: namespaces "x" not found'
    ):
        await cluster.get(f"{NAMESPACES}/x")


async def test_a_list_is_read_page_by_page(simulator, cluster):
    simulator.clusters["host"].put(NAMESPACES, *(namespace(n) for n in range(30)))
    assert await names(cluster.items(NAMESPACES)) == [f"ns-{n:04}" for n in range(30)]
    assert len(simulator.requests) == 5


async def test_a_selector_chooses_and_an_empty_list_is_one(simulator, cluster):
    simulator.clusters["host"].put(
        NAMESPACES, *(namespace(n, "tenant" if n % 5 == 0 else "other") for n in range(40))
    )
    assert await names(cluster.items(NAMESPACES, "type=tenant")) == [f"ns-{n:04}" for n in range(0, 40, 5)]
    assert await names(cluster.items(NAMESPACES, "type=nothing")) == []


async def test_a_context_is_a_cluster_of_its_own(simulator, kubeconfig):
    simulator.clusters["m01"].put(NAMESPACES, namespace(5))
    assert contexts(kubeconfig) == ["host", "m01"]
    async with Cluster.from_kubeconfig(kubeconfig, "m01") as member:
        assert await names(member.items(NAMESPACES)) == ["ns-0005"]


async def test_a_list_that_expires_goes_on_in_a_newer_one(simulator, cluster):
    simulator.clusters["host"].put(NAMESPACES, *(namespace(n) for n in range(30)))
    simulator.expire_after_pages = 2
    assert await names(cluster.items(NAMESPACES)) == [f"ns-{n:04}" for n in range(30)]


async def test_a_list_that_expires_without_a_newer_one_may_be_read_again(simulator, cluster):
    simulator.clusters["host"].put(NAMESPACES, *(namespace(n) for n in range(30)))
    simulator.expire_after_pages, simulator.offer_newer_list = 2, False
    with pytest.raises(Retryable, match="too old"):
        await names(cluster.items(NAMESPACES))
    assert len(await names(cluster.items(NAMESPACES))) == 30


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_server_is_asked_again(simulator, cluster, status):
    simulator.faults = [(status, {"Retry-After": "0"})] * 2
    assert await names(cluster.items(NAMESPACES)) == []
    simulator.faults = [(status, {})] * 3
    with pytest.raises(Retryable, match=f"answered {status}"):
        await cluster.get(NAMESPACES)


async def test_a_server_that_is_away_is_told_by_name(simulator, kubeconfig):
    await simulator.close()
    async with Cluster(Kubeconfig.load(kubeconfig).access(), retry=QUICK) as cluster:
        with pytest.raises(Retryable, match="cluster host does not answer: ClientConnectorError"):
            await cluster.get(NAMESPACES)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A CA, a certificate for localhost and one for a client."""
    directory = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=60)

    request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(*request, "-x509", "-days", "2", "-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.crt",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    (directory / "san").write_text("subjectAltName=DNS:localhost,DNS:api.example.com\n")
    for name in ("server", "client"):
        openssl(*request, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2",
                "-extfile", "san", "-out", f"{name}.crt")  # fmt: skip
    return directory


@asynccontextmanager
async def serving_tls(simulator, authority, client_certificate):
    """The simulator once more, behind TLS; its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority / "ca.crt")
    context.verify_mode = client_certificate
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    runner = web.AppRunner(simulator.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
async def tls_server(simulator, authority):
    async with serving_tls(simulator, authority, ssl.CERT_REQUIRED) as port:
        yield port


def tls_kubeconfig(kubeconfig, authority, cluster, **user):
    document = yaml.safe_load(kubeconfig.read_text())
    document["clusters"][0]["cluster"] = cluster
    document["contexts"][0]["context"]["user"] = "jane"
    document["users"] = [{"name": "jane", "user": user}]
    path = authority / "config"
    path.write_text(yaml.safe_dump(document))
    return path


async def test_a_refusal_is_final_and_shows_no_token(simulator, kubeconfig, authority):
    simulator.token = "expected"
    async with serving_tls(simulator, authority, ssl.CERT_NONE) as port:
        server = {"server": f"https://localhost:{port}/host", "certificate-authority": "ca.crt"}
        path = tls_kubeconfig(kubeconfig, authority, server, token="planted-secret")
        async with Cluster.from_kubeconfig(path) as cluster:
            with pytest.raises(Permanent, match="cluster host answered 401") as refused:
                await cluster.get(NAMESPACES)
            assert "planted-secret" not in f"{refused.value!r} {cluster._access!r}"
    assert len(simulator.requests) == 1


async def test_a_token_file_is_read_again_for_each_request(simulator, kubeconfig, authority):
    simulator.token = "renewed"
    token = authority / "token"
    async with serving_tls(simulator, authority, ssl.CERT_NONE) as port:
        server = {"server": f"https://localhost:{port}/host", "certificate-authority": "ca.crt"}
        path = tls_kubeconfig(kubeconfig, authority, server, tokenFile="token")
        token.write_text("stale\n")
        async with Cluster.from_kubeconfig(path) as cluster:
            with pytest.raises(Permanent, match="401"):
                await cluster.get(NAMESPACES)
            token.write_text("renewed\n")
            assert (await cluster.get(NAMESPACES))["items"] == []


async def test_no_credential_leaves_over_a_connection_that_anybody_can_read(simulator, kubeconfig, authority):
    """As kubectl has it."""
    simulator.token = "planted-secret"
    server = {"server": f"{simulator.url}/host"}
    for user in ({"token": "planted-secret"}, {"username": "jane", "password": "planted-secret"}):
        path = tls_kubeconfig(kubeconfig, authority, server, **user)
        assert Kubeconfig.load(path).access().headers() == {}
        async with Cluster.from_kubeconfig(path) as cluster:
            with pytest.raises(Permanent, match="401"):
                await cluster.get(NAMESPACES)


async def test_certificates_are_read_from_files_or_the_document(kubeconfig, authority, tls_server):
    def data(name):
        return base64.b64encode((authority / name).read_bytes()).decode()

    server = f"https://localhost:{tls_server}/host"
    by_file = tls_kubeconfig(
        kubeconfig, authority, {"server": server, "certificate-authority": "ca.crt"},
        **{"client-certificate": "client.crt", "client-key": "client.key"},
    )  # fmt: skip
    async with Cluster.from_kubeconfig(by_file) as cluster:
        assert (await cluster.get(NAMESPACES))["items"] == []
    by_data = tls_kubeconfig(
        kubeconfig, authority, {"server": server, "certificate-authority-data": data("ca.crt")},
        **{"client-certificate-data": data("client.crt"), "client-key-data": data("client.key")},
    )  # fmt: skip
    async with Cluster.from_kubeconfig(by_data) as cluster:
        assert (await cluster.get(NAMESPACES))["items"] == []


async def test_trust_is_what_the_kubeconfig_says(kubeconfig, authority, tls_server):
    client = {"client-certificate": "client.crt", "client-key": "client.key"}
    by_address = f"https://127.0.0.1:{tls_server}/host"
    trusted = {"server": by_address, "certificate-authority": "ca.crt"}

    async def asked(cluster_entry):
        path = tls_kubeconfig(kubeconfig, authority, cluster_entry, **client)
        async with Cluster(Kubeconfig.load(path).access(), retry=QUICK) as cluster:
            return (await cluster.get(NAMESPACES))["items"]

    assert await asked(trusted | {"tls-server-name": "api.example.com"}) == []
    assert await asked({"server": by_address, "insecure-skip-tls-verify": True}) == []
    with pytest.raises(ConfigurationError, match="cluster host: its certificate is not trusted"):
        await asked(trusted)
    with pytest.raises(ConfigurationError, match="cluster host: its certificate is not trusted"):
        await asked({"server": f"https://localhost:{tls_server}/host"})


async def test_a_client_without_its_certificate_is_not_let_in(kubeconfig, authority, tls_server):
    server = f"https://localhost:{tls_server}/host"
    path = tls_kubeconfig(kubeconfig, authority, {"server": server, "certificate-authority": "ca.crt"})
    async with Cluster(Kubeconfig.load(path).access(), retry=QUICK) as cluster:
        with pytest.raises(Retryable, match="cluster host does not answer"):
            await cluster.get(NAMESPACES)


async def test_a_pod_reads_with_its_service_account(tmp_path, monkeypatch, authority, simulator):
    async with serving_tls(simulator, authority, ssl.CERT_NONE) as port:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "localhost")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        simulator.token = "of-the-pod"
        (tmp_path / "token").write_text(simulator.token)
        (tmp_path / "ca.crt").write_text((authority / "ca.crt").read_text())
        (tmp_path / "namespace").write_text("headrace\n")
        access = service_account(tmp_path)
        assert access is not None
        async with Cluster(access) as cluster:
            assert cluster.namespace == "headrace"
            assert (await cluster.get(NAMESPACES))["items"] == []
