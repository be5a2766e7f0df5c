"""compose.yaml is what the Compose Specification allows, what the registry has and what the documents name."""

import importlib.util
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

from headrace.local.kafka import PROPERTIES
from headrace.local.seaweedfs import SECRETS
from headrace_services.registry import BY_NAME, SERVICES
from tests.composed import COMPOSE, ROOT, UNSET, composed, serving

SCHEMA = json.loads(Path(__file__).with_name("compose-spec.json").read_text(encoding="utf-8"))
MINIO = ROOT / "deploy" / "compose.minio.yaml"
FILES = {"alone": (), "with MinIO": (MINIO,)}
# What the ROS document calls, by container port.
DOCUMENTED_PORTS = {"ingress": 3000, "rosocp-api": 8001, "sources-api": 8002, "kruize": 8080}
# What compose.yaml has no default for.
REQUIRED = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text(encoding="utf-8")))
DOCUMENTED_NAMES = ("db-ros_1", "kafka_1", "minio_1", "rosocp-processor_1")


@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_the_specification_allows_it(files):
    errors = Draft202012Validator(SCHEMA).iter_errors(composed({}, *files))
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_the_specification_is_asked():
    wrong = composed()
    wrong["services"]["ingress"]["ports"] = 3000
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)


def test_every_service_has_its_container():
    served = serving(composed())
    missing = [row.name for row in SERVICES if row.name not in served]
    assert missing == [], f"compose.yaml has no container with `command: [serve, NAME, …]` for {missing}"
    unknown = sorted(served.keys() - BY_NAME.keys())
    assert unknown == [], (
        f"compose.yaml serves what services/headrace_services/registry.py does not have: {unknown}"
    )


def test_services_listen_on_their_ports_and_are_published_on_loopback():
    found = composed()
    names = serving(found)
    wanted = {row.name: [str(row.port)] if row.port else [] for row in SERVICES if row.name in names}
    published = {row: found["services"][name].get("ports", []) for row, name in names.items()}
    assert {row: [port.rpartition(":")[2] for port in ports] for row, ports in published.items()} == wanted
    every = [port for service in found["services"].values() for port in service.get("ports", [])]
    assert [port for port in every if not port.startswith("127.0.0.1:")] == []
    assert len({port.split(":")[1] for port in every}) == len(every)


def test_services_are_told_where_the_others_are():
    found = composed()
    names = serving(found)
    for row, name in names.items():
        environment = found["services"][name]["environment"]
        told = {
            variable: f"http://{names[other.name]}:{other.port}{path}"
            for other in SERVICES
            for variable, path in other.known_by
            if other.name in names
        }
        wrong = {variable: url for variable, url in told.items() if environment.get(variable) != url}
        assert wrong == {}, f"{name} ({row}) is not told {wrong}"


def test_each_container_has_a_role_of_its_own_in_postgresql_and_no_other():
    """A service that is broken into has only its own password, and none that anybody can know."""
    found = composed({name: f"secret-of-{name}" for name in REQUIRED})
    names = serving(found)
    roles = {}
    for row in SERVICES:
        environment = found["services"][names[row.name]]["environment"]
        told = {name: value for name, value in environment.items() if name.startswith("HEADRACE_POSTGRES")}
        assert told.keys() == ({row.role_variable} if row.database else set()), row.name
        assert row.database is None or environment[row.role_variable].startswith(f"postgresql://{row.role}:")
        roles |= told
        assert "POSTGRES_PASSWORD" not in environment
    init = found["services"]["init"]["environment"]
    assert roles.items() <= init.items()
    urls = [*roles.values(), init["HEADRACE_POSTGRES"]]
    assert len({urlsplit(url).password for url in urls} - {UNSET, None}) == len(urls)


def test_passwords_are_made_once_for_their_owner_alone(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("passwords", ROOT / "deploy" / "passwords.py")
    passwords = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(passwords)
    monkeypatch.setattr(passwords, "ROOT", tmp_path)
    for name in REQUIRED:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "compose.yaml").write_text(COMPOSE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / ".env").write_text("KRUIZE_POSTGRES_PASSWORD=mine\nMINIO_IMAGE=other", encoding="utf-8")
    assert passwords.main() == passwords.main() == 0
    lines = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text(encoding="utf-8").splitlines())
    assert lines.keys() == {*REQUIRED, "MINIO_IMAGE"}
    assert lines["KRUIZE_POSTGRES_PASSWORD"] == "mine"
    assert len(set(lines.values())) == len(lines)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_names_and_ports_are_the_documents():
    services = composed()["services"]
    assert {service["container_name"] for service in services.values()} >= set(DOCUMENTED_NAMES)
    # The documents' name for S3, whichever server it is.
    services["minio"] = services.pop("s3")
    assert all(service["container_name"] == f"{name}_1" for name, service in services.items())
    for name, port in DOCUMENTED_PORTS.items():
        assert services[name]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert services["minio"]["ports"] == ["127.0.0.1:9000:9000"]
    assert services["minio"]["networks"]["default"]["aliases"] == ["minio"]
    assert services["kafka"]["ports"] == ["127.0.0.1:29092:39092"]
    assert services["db-ros"]["networks"]["default"]["aliases"] == ["db-kruize", "db-sources"]


def test_the_documents_variables_have_effect():
    given = {"INGRESS_PORT": "3999", "MINIO_ACCESS_KEY": "someone", "MINIO_SECRET_KEY": "something"}
    services = composed(given)["services"]
    assert services["ingress"]["ports"] == ["127.0.0.1:3999:3000"]
    assert services["s3"]["environment"]["AWS_ACCESS_KEY_ID"] == "someone"
    assert composed(given, MINIO)["services"]["minio"]["environment"]["MINIO_ROOT_USER"] == "someone"
    assert services["koku"]["environment"]["AWS_SECRET_ACCESS_KEY"] == "something"


@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_containers_can_do_little(files):
    for name, service in composed({}, *files)["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert "privileged" not in service, name


def test_every_container_is_asked_how_it_is_and_comes_back():
    for name, service in composed()["services"].items():
        if name == "init":
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name


def test_every_image_is_a_variable_with_a_public_default():
    images = re.findall(r"image: (.*)", COMPOSE.read_text(encoding="utf-8"))
    assert len(images) == 4
    for image in images:
        assert re.fullmatch(
            r"\$\{[A-Z]+_IMAGE:-(localhost/headrace:latest|(docker|quay)\.io/[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64})\}",
            image,
        ), image


def test_services_wait_for_what_they_need():
    services = composed()["services"]
    engines = {name: {"condition": "service_healthy"} for name in ("kafka", "s3", "db-ros")}
    for name in (*serving(composed()).values(), "init"):
        assert services[name]["depends_on"] == engines, name
        assert services[name]["command"][-2:] == ["--wait", "120"], name
    assert services["init"]["restart"] == "no"


def test_of_s3_only_the_port_that_asks_for_keys_leaves_the_container():
    """SeaweedFS' filer gives objects without keys, and MinIO takes them from whoever knows half a key."""
    start = (ROOT / "deploy" / "seaweedfs" / "start").read_text(encoding="utf-8")
    assert " -ip=127.0.0.1 -ip.bind=127.0.0.1 " in start
    assert re.findall(r"\S*0\.0\.0\.0", start) == ["-s3.ip.bind=0.0.0.0"]
    assert [name for name in SECRETS if f"{name}=$(key)" not in start] == []

    services = composed({}, MINIO)["services"]
    assert services["minio"]["command"][2:4] == ["--address", "127.0.0.1:9001"]
    assert services["minio"]["network_mode"] == "service:s3"
    assert "ports" not in services["minio"]
    assert services["s3"]["entrypoint"] == ["python", "-m", "headrace.objects.minio_guard"]
    assert services["s3"]["ports"] == ["127.0.0.1:9000:9000", "127.0.0.1:9990:9990"]


def test_kafka_is_set_up_as_in_the_local_shape():
    lines = (ROOT / "deploy" / "kafka" / "server.properties").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    listeners = {"listener.security.protocol.map", "inter.broker.listener.name"}
    wanted = {name: str(value) for name, value in PROPERTIES.items() if name not in listeners}
    assert {name: found.get(name) for name in wanted} == wanted
