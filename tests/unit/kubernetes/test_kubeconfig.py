import os
from pathlib import Path

import pytest
import yaml

from headrace.kubernetes import Cluster, contexts
from headrace.kubernetes.kubeconfig import Kubeconfig, default_kubeconfig, service_account
from headrace.runtime.errors import ConfigurationError

# What the documents' `oc config` commands leave behind: no user at all.
KWOK = """\
apiVersion: v1
kind: Config
clusters:
- {name: kwok, cluster: {server: "http://127.0.0.1:8080"}}
contexts:
- {name: kwok, context: {cluster: kwok, user: ""}}
current-context: kwok
users: null
"""


def write(path: Path, **changes):
    document = yaml.safe_load(KWOK) | changes
    path.write_text(yaml.safe_dump(document))
    return path


def user(path: Path, **entry):
    context = [{"name": "kwok", "context": {"cluster": "kwok", "user": "jane", "namespace": "work"}}]
    server = [{"name": "kwok", "cluster": {"server": "https://127.0.0.1:6443"}}]
    return write(path, users=[{"name": "jane", "user": entry}], contexts=context, clusters=server)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config"


def test_the_documents_kwok_context_needs_no_user(path):
    path.write_text(KWOK)
    access = Kubeconfig.load(path).access()
    assert (access.name, access.server, access.headers()) == ("kwok", "http://127.0.0.1:8080", {})
    assert contexts(path) == ["kwok"]


def test_a_token_or_a_password_is_sent_and_not_shown(path):
    access = Kubeconfig.load(user(path, token="planted-secret")).access()
    assert access.headers() == {"Authorization": "Bearer planted-secret"}
    assert "planted-secret" not in repr(access)
    access = Kubeconfig.load(user(path, username="jane", password="planted-secret")).access()
    assert access.headers()["Authorization"].startswith("Basic ")
    assert access.namespace == "work"
    assert "planted-secret" not in repr(access)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"exec": {"command": "aws"}}, r"user 'jane': credential plugins \(exec\) are not run"),
        ({"auth-provider": {"name": "gcp"}}, "user 'jane': auth-provider is not supported"),
        ({"as": "admin"}, "user 'jane': impersonation is not supported"),
        ({"client-certificate-data": "%%%"}, "client-certificate-data is not base64"),
        ({"client-key": "missing.pem"}, "the client-key .*missing.pem cannot be read: No such file"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(path, entry, reason):
    with pytest.raises(ConfigurationError, match=reason):
        Kubeconfig.load(user(path, **entry)).access()


def test_names_that_lead_nowhere_are_told_with_those_there_are(path):
    path.write_text(KWOK)
    with pytest.raises(ConfigurationError, match="context 'other' does not exist; expected one of: kwok"):
        Kubeconfig.load(path).access("other")
    write(path, clusters=[])
    with pytest.raises(ConfigurationError, match="cluster 'kwok' does not exist; expected one of: none"):
        Kubeconfig.load(path).access()
    write(path, **{"current-context": ""})
    with pytest.raises(ConfigurationError, match="current-context is not set"):
        Kubeconfig.load(path).access()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "is not YAML"),
        ("- a", "is not a mapping"),
        ("clusters: [{cluster: {}}]", "a clusters list with an entry that lacks a name"),
        ("contexts: [text]", "a contexts list with an entry that lacks a name"),
        ("contexts: 7", "a contexts list with an entry that lacks a name"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_told_without_its_text(path, text, reason):
    path.write_text(f"# planted-secret\n{text}")
    with pytest.raises(ConfigurationError, match=reason) as refused:
        Kubeconfig.load(path)
    assert "planted-secret" not in str(refused.value)


def test_a_server_is_a_url(path):
    write(path, clusters=[{"name": "kwok", "cluster": {"server": "127.0.0.1:8080"}}])
    with pytest.raises(ConfigurationError, match=r"has the server '127.0.0.1:8080'; expected an"):
        Kubeconfig.load(path).access()


def test_several_files_are_one_the_first_to_name_something_wins(tmp_path):
    first = write(tmp_path / "first", **{"current-context": ""})
    second = tmp_path / "second"
    second.write_text(KWOK.replace("8080", "9090"))
    merged = Kubeconfig.load(os.pathsep.join([str(first), str(second), str(tmp_path / "missing")]))
    assert merged.access().server == "http://127.0.0.1:8080"
    with pytest.raises(ConfigurationError, match="missing cannot be read"):
        Kubeconfig.load(tmp_path / "missing")


def test_find_looks_where_kubectl_does(path, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert default_kubeconfig() is None
    with pytest.raises(ConfigurationError, match="no Kubernetes cluster is configured: KUBECONFIG is unset"):
        Cluster.find()
    with pytest.raises(ConfigurationError, match="not running in a pod"):
        Cluster.in_cluster()
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(KWOK)
    assert Cluster.find().name == "kwok"
    path.write_text(KWOK.replace("kwok", "named"))
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert Cluster.find().name == "named"


def test_a_pods_server_may_have_an_ipv6_address(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    for name in ("token", "ca.crt"):
        (tmp_path / name).write_text("text")
    access = service_account(tmp_path)
    assert access is not None
    assert access.server == "https://[fd00::1]:6443"
