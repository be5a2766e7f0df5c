"""Manifests: rendered, valid for Kubernetes, and with everything the services' table asks for."""

import base64
import copy
import functools
import os
import re
import sys
from dataclasses import replace
from types import ModuleType

import kubernetes_validate
import pytest
import yaml

from headrace.deployment.facts import Table
from headrace.deployment.manifests import init_manifests, scaled, service_manifests
from headrace.deployment.network import callers_of
from headrace.deployment.pods import dashed
from headrace.deployment.written import FACTS, KEDA, left_over, write, written
from headrace.runtime.errors import ConfigurationError
from headrace.service.declarations import settings_of
from headrace.service.row import Service
from headrace_services.registry import BY_NAME, SERVICES
from tests.unit.deployment.rendered import KUSTOMIZE, ROOT, by_kind, pod_of, render

# Their schemas are their operators', not Kubernetes'.
FOREIGN = {"ScaledObject", "PodMonitor", "PrometheusRule"}
# The oldest that has what the manifests use, and the newest there is.
VERSIONS = ("1.31.0", kubernetes_validate.latest_version())
SELECTED = "app.kubernetes.io/name"


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Production with both components."""
    folder = tmp_path_factory.mktemp("all")
    here = os.path.relpath(KUSTOMIZE, folder.resolve())
    names = ("keda", "monitoring")
    kustomization = {
        "resources": [f"{here}/overlays/production"],
        "components": [f"{here}/components/{name}" for name in names],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return render(folder)


@pytest.fixture(scope="module")
def production():
    return render(KUSTOMIZE / "overlays" / "production")


@pytest.fixture(scope="module")
def local():
    return render(KUSTOMIZE / "overlays" / "local")


@pytest.fixture
def quick_schemas(monkeypatch):
    """The package reads its schemas, of megabytes, anew for each object."""
    kept = functools.cache(kubernetes_validate.utils.schema_contents)
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", kept)


@pytest.fixture(params=["base", "overlays/local", "overlays/production", "everything"])
def objects(request):
    if request.param == "everything":
        return request.getfixturevalue("everything")
    return render(KUSTOMIZE / request.param)


def test_what_is_committed_is_what_the_generator_writes():
    files = written(SERVICES, ROOT)
    stale = [
        str(path)
        for path, text in files.items()
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text
    ]
    assert stale + [str(path) for path in left_over(files, ROOT)] == [], "renew them with: make docs"


def test_a_new_service_is_missed_by_name(monkeypatch):
    package = ModuleType("headrace_services.brand_new")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "headrace_services.brand_new", package)
    new = Service(name="brand_new", summary="not there yet", port=8999)
    files = written([*SERVICES, new], ROOT)
    missing = [path.name for path in files if not (ROOT / path).exists()]
    assert missing == ["brand-new.yaml"]


def test_a_service_that_is_no_more_leaves_nothing(tmp_path):
    (tmp_path / FACTS).parent.mkdir(parents=True)
    (tmp_path / FACTS).write_text((ROOT / FACTS).read_text(encoding="utf-8"), encoding="utf-8")
    write(SERVICES, tmp_path)
    gone = tmp_path / KEDA / "gone.yaml"
    gone.touch()
    assert write(SERVICES, tmp_path) == [gone.relative_to(tmp_path)]
    assert not gone.exists()


def test_facts_of_a_service_nobody_has_are_refused(tmp_path):
    path = tmp_path / "services.yaml"
    facts = yaml.safe_load((ROOT / FACTS).read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(facts | {"services": {"nobody": {}}}), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no service is named nobody"):
        Table.read(path, SERVICES)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(everything, local, version, quick_schemas):
    for item in [*everything, *local]:
        if item["kind"] not in FOREIGN:
            kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelt_field_is_found(production, version, quick_schemas):
    deployment = copy.deepcopy(by_kind(production, "Deployment")["koku"])
    pod_of(deployment)["automountServiceAccountTokens"] = False
    with pytest.raises(kubernetes_validate.ValidationError, match="automountServiceAccountTokens"):
        kubernetes_validate.validate(deployment, version, strict=True)


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row.name)
def test_a_service_has_all_its_objects(production, row):
    name = dashed(row)
    for kind in ("Deployment", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"):
        assert name in by_kind(production, kind), kind
    deployment = by_kind(production, "Deployment")[name]
    alone = Table.read(ROOT / FACTS, SERVICES).of(row).alone
    assert deployment["spec"]["replicas"] == 1 if alone else deployment["spec"]["replicas"] >= 2
    (container,) = pod_of(deployment)["containers"]
    assert [*container["command"], *container["args"]] == ["headrace", "serve", row.name]
    services = by_kind(production, "Service")
    assert (name in services) == (row.port is not None)
    if row.port:
        (port,) = services[name]["spec"]["ports"]
        assert port["port"] == row.port
        assert {"name": port["targetPort"], "containerPort": row.port} in container["ports"]


def test_every_pod_is_of_the_restricted_profile(objects):
    pods = [pod for pod in map(pod_of, objects) if pod]
    assert len(pods) == len(SERVICES) + 1
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
        assert all(
            volume.keys() & {"emptyDir", "secret", "persistentVolumeClaim"} for volume in pod["volumes"]
        )


def test_every_selector_finds_its_pods(objects):
    names = {
        item["spec"]["template"]["metadata"]["labels"][SELECTED]
        for item in objects
        if item["kind"] in {"Deployment", "Job"}
    }
    for item in objects:
        if item["kind"] == "Service":
            assert item["spec"]["selector"][SELECTED] in names
        if item["kind"] == "PodDisruptionBudget":
            assert item["spec"]["selector"]["matchLabels"][SELECTED] in names
        if item["kind"] == "NetworkPolicy":
            assert item["spec"]["podSelector"]["matchLabels"][SELECTED] in names


def test_every_reference_leads_to_an_object_or_a_documented_secret(production):
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    maps = by_kind(production, "ConfigMap")
    assert by_kind(production, "Secret") == {}
    for pod in filter(None, map(pod_of, production)):
        for source in pod["containers"][0]["envFrom"]:
            if "configMapRef" in source:
                assert source["configMapRef"]["name"] in maps
            elif not source["secretRef"].get("optional"):
                name = source["secretRef"]["name"]
                roles = {f"headrace-postgres-{dashed(row)}" for row in SERVICES}
                shown = "headrace-postgres-<service>" if name in roles else name
                assert f"`{shown}`" in operations


def test_credentials_go_only_where_they_are_used(production):
    deployments = by_kind(production, "Deployment")

    def secrets(name):
        sources = pod_of(deployments[name])["containers"][0]["envFrom"]
        return {source["secretRef"]["name"] for source in sources if "secretRef" in source}

    assert secrets("kruize") == {"headrace-postgres-kruize", "headrace-kruize"}
    assert secrets("koku") == {"headrace-kafka", "headrace-s3", "headrace-koku"}
    assert secrets("archiver") == {
        "headrace-kafka", "headrace-s3", "headrace-postgres-archiver", "headrace-archiver"
    }  # fmt: skip


def test_each_pod_has_a_role_of_its_own_in_postgresql_and_only_the_job_administers(production, local):
    for objects in (production, local):
        found = {}
        for item in objects:
            if pod := pod_of(item):
                sources = pod["containers"][0]["envFrom"]
                names = [source["secretRef"]["name"] for source in sources if "secretRef" in source]
                found[item["metadata"]["name"]] = {
                    re.sub(r"-[a-z0-9]{10}$", "", name) if objects is local else name
                    for name in names
                    if name.startswith("headrace-postgres")
                }
        own = {dashed(row): {f"headrace-postgres-{dashed(row)}"} for row in SERVICES if row.database}
        assert found.pop("headrace-init") == {"headrace-postgres"}.union(*own.values())
        assert found == {dashed(row): own.get(dashed(row), set()) for row in SERVICES}


def test_the_local_overlays_roles_are_the_services_own(local):
    secrets = {
        name: base64.b64decode(value).decode()
        for item in by_kind(local, "Secret").values()
        for name, value in item["data"].items()
        if name.startswith("HEADRACE_POSTGRES_")
    }
    assert secrets.keys() == {row.role_variable for row in SERVICES if row.database}
    for row in SERVICES:
        assert row.database is None or secrets[row.role_variable].startswith(f"postgresql://{row.role}:")


def test_only_those_who_check_identities_are_open_to_the_gateway(production):
    """The tracker's and the installer's APIs show every organisation to who may reach them."""
    found = {}
    for name, item in by_kind(production, "NetworkPolicy").items():
        for rule in item["spec"].get("ingress", ()):
            for peer in rule["from"]:
                labels = peer.get("namespaceSelector", {}).get("matchLabels", {})
                for access in labels.values():
                    found.setdefault(access, set()).add((name, rule["ports"][0]["port"]))
            assert rule["from"], f"{name} is open to everyone"
    gateway = {"ingress", "archiver", "sources-api", "ros-api", "results-aggregator", "ols", "console"}
    assert found == {
        "gateway": {(name, "http") for name in gateway},
        "operators": {("payload-tracker", "http")},
        "installer": {("assisted-events", "http")},
        "monitoring": {(dashed(row), "admin") for row in SERVICES},
    }


def test_the_services_are_told_each_other(production):
    told = {}
    for item in by_kind(production, "ConfigMap").values():
        told |= item.get("data") or {}
    for row in SERVICES:
        for variable, path in row.known_by:
            assert told[variable] == f"http://{dashed(row)}:{row.port}{path}"
    known = {name for row in SERVICES for kind in settings_of(row) for name in _variables(kind)}
    assert {name for name in told if not name.startswith(("HEADRACE_", "AWS_"))} - known <= {
        "POLARS_MAX_THREADS", "INGRESS_URL", "DATA_UPLOAD_ENDPOINT"
    }  # fmt: skip


def _variables(kind):
    return [field.validation_alias or name.upper() for name, field in kind.model_fields.items()]


def test_who_calls_whom_follows_from_what_they_read():
    def callers(name):
        return {row.name for row in callers_of(BY_NAME[name], SERVICES)}

    assert callers("kruize") == {"ros_processor", "ros_poller"}
    assert {"koku", "ros_processor"} <= callers("sources_api")
    assert "ingress" in callers("payload_tracker")
    assert callers("ros_api") == {"console"}


def test_a_call_is_allowed_at_both_ends(production):
    policies = by_kind(production, "NetworkPolicy")
    for row in SERVICES:
        for caller in callers_of(row, SERVICES):
            out = policies[dashed(caller)]["spec"]["egress"]
            come_in = policies[dashed(row)]["spec"]["ingress"]
            assert any(
                {"protocol": "TCP", "port": row.port} in rule["ports"]
                and _names(rule.get("to", ())) == {dashed(row)}
                for rule in out
            )
            assert any(
                {"protocol": "TCP", "port": "http"} in rule["ports"]
                and dashed(caller) in _names(rule["from"])
                for rule in come_in
            )


def _names(peers):
    return {peer["podSelector"]["matchLabels"][SELECTED] for peer in peers if "podSelector" in peer}


def test_the_local_overlay_is_small_and_open(local):
    assert {item["spec"]["replicas"] for item in by_kind(local, "Deployment").values()} == {1}
    assert by_kind(local, "NetworkPolicy") == {}
    (config,) = [
        item["data"]
        for name, item in by_kind(local, "ConfigMap").items()
        if "HEADRACE_HOST" in (item.get("data") or {})
    ]
    assert config["HEADRACE_LENIENT"] == "true"
    assert len(by_kind(local, "Secret")) == 2 + len([row for row in SERVICES if row.database])


def test_no_overlay_changes_the_image_of_one_service_alone(objects):
    images = {
        container["image"] for pod in filter(None, map(pod_of, objects)) for container in pod["containers"]
    }
    assert len(images) == 1


def test_every_consumer_is_scaled_by_its_lag(everything):
    found = by_kind(everything, "ScaledObject")
    deployments = by_kind(everything, "Deployment")
    assert found.keys() == {dashed(row) for row in SERVICES if row.consumes}
    for row in SERVICES:
        assert ("replicas" in deployments[dashed(row)]["spec"]) == (not row.consumes)
        if row.consumes:
            triggers = [trigger["metadata"] for trigger in found[dashed(row)]["spec"]["triggers"]]
            assert [(item["topic"], item["consumerGroup"]) for item in triggers] == [
                (item.topic.name, item.group) for item in row.consumes
            ]
            assert found[dashed(row)]["spec"]["scaleTargetRef"]["name"] == dashed(row)


def test_a_periodic_service_is_a_cron_job(quick_schemas):
    row = replace(BY_NAME["koku"], consumes=())
    table = Table.read(ROOT / FACTS, SERVICES)
    services = dict(table.services) | {"koku": {"schedule": "17 * * * *", "arguments": ["koku", "once"]}}
    table = table.model_copy(update={"services": services})
    objects = service_manifests(row, table, SERVICES)
    assert {item["kind"] for item in objects} == {"ServiceAccount", "NetworkPolicy", "CronJob"}
    (job,) = (item for item in objects if item["kind"] == "CronJob")
    for version in VERSIONS:
        kubernetes_validate.validate(job, version, strict=True)
    (container,) = pod_of(job)["containers"]
    assert container["args"] == ["koku", "once"]
    assert scaled(table, [row]) == []


def test_a_service_of_files_and_outside_systems_has_what_it_needs(quick_schemas):
    table = Table.read(ROOT / FACTS, SERVICES)
    facts = {"alone": True, "claim": "shared", "claim_path": "/data", "egress_ports": [8089]}
    table = table.model_copy(update={"services": {"koku": facts, "archiver": facts}})
    rows = [BY_NAME["koku"], BY_NAME["archiver"]]
    (claim,) = by_kind(init_manifests(table, rows), "PersistentVolumeClaim")
    assert claim == "shared"
    objects = [*init_manifests(table, rows), *service_manifests(rows[0], table, rows)]
    for item in objects:
        kubernetes_validate.validate(item, VERSIONS[-1], strict=True)
    deployment = by_kind(objects, "Deployment")["koku"]
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    mounts = {
        item["mountPath"]: item.get("readOnly", False)
        for item in pod_of(deployment)["containers"][0]["volumeMounts"]
    }
    tmp = "/tmp"  # noqa: S108 -- the pod's own
    assert mounts == {tmp: False, "/data": False, "/etc/headrace/ca": True, "/etc/headrace/files": True}
    ports = by_kind(objects, "NetworkPolicy")["koku"]["spec"]["egress"][1]["ports"]
    assert {"protocol": "TCP", "port": 8089} in ports


def test_the_table_of_facts_names_only_settings_that_are_there():
    table = Table.read(ROOT / FACTS, SERVICES)
    for row in SERVICES:
        known = {name for kind in settings_of(row) for name in _variables(kind)} | {"POLARS_MAX_THREADS"}
        assert set(table.of(row).environment) <= known


def test_the_folder_has_no_file_that_no_kustomization_reads():
    for folder in [path.parent for path in KUSTOMIZE.rglob("kustomization.yaml")]:
        text = (folder / "kustomization.yaml").read_text(encoding="utf-8")
        others = [
            path.name for path in folder.iterdir() if path.is_file() and path.name != "kustomization.yaml"
        ]
        assert [name for name in others if name not in text] == []
