"""compose.yaml is what the Compose Specification allows, what the registry has and what the documents name."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from headrace.local.kafka import PROPERTIES
from services.registry import BY_NAME, SERVICES
from tests.composed import COMPOSE, ROOT, composed, serving

SCHEMA = json.loads(Path(__file__).with_name("compose-spec.json").read_text(encoding="utf-8"))
SEAWEEDFS = ROOT / "deploy" / "compose.seaweedfs.yaml"
FILES = {"alone": (), "with SeaweedFS": (SEAWEEDFS,)}
# What the ROS document calls, by container port.
DOCUMENTED_PORTS = {"ingress": 3000, "rosocp-api": 8001, "sources-api": 8002, "kruize": 8080}
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
    assert unknown == [], f"compose.yaml serves what services/registry.py does not have: {unknown}"


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


def test_names_and_ports_are_the_documents():
    services = composed()["services"]
    assert {service["container_name"] for service in services.values()} >= set(DOCUMENTED_NAMES)
    assert all(service["container_name"] == f"{name}_1" for name, service in services.items())
    for name, port in DOCUMENTED_PORTS.items():
        assert services[name]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert services["minio"]["ports"] == ["127.0.0.1:9000:9000", "127.0.0.1:9990:9990"]
    assert services["kafka"]["ports"] == ["127.0.0.1:29092:39092"]
    assert services["db-ros"]["networks"]["default"]["aliases"] == ["db-kruize", "db-sources"]


def test_the_documents_variables_have_effect():
    given = {"INGRESS_PORT": "3999", "MINIO_ACCESS_KEY": "someone", "MINIO_SECRET_KEY": "something"}
    services = composed(given)["services"]
    assert services["ingress"]["ports"] == ["127.0.0.1:3999:3000"]
    assert services["minio"]["environment"]["MINIO_ROOT_USER"] == "someone"
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
            r"\$\{[A-Z]+_IMAGE:-(localhost/headrace|(docker|quay)\.io/\S+):[\w.-]+\}", image
        ), image


def test_services_wait_for_what_they_need():
    services = composed()["services"]
    engines = {name: {"condition": "service_healthy"} for name in ("kafka", "minio", "db-ros")}
    for name in (*serving(composed()).values(), "init"):
        assert services[name]["depends_on"] == engines, name
        assert services[name]["command"][-2:] == ["--wait", "120"], name
    assert services["init"]["restart"] == "no"


def test_kafka_is_set_up_as_in_the_local_shape():
    lines = (ROOT / "deploy" / "kafka" / "server.properties").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    listeners = {"listener.security.protocol.map", "inter.broker.listener.name"}
    wanted = {name: str(value) for name, value in PROPERTIES.items() if name not in listeners}
    assert {name: found.get(name) for name in wanted} == wanted
