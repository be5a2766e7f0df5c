"""The image of the services has nothing that people run on a laptop, and its command works without it."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from headrace_services.registry import SERVICES
from tests.composed import ROOT

LAPTOP = {"laptop", "local", "samples", "deployment", "testing"}
# As in the tree of the image, but with the compiled modules that are there.
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
from headrace_services.registry import SERVICES
for row in SERVICES:
    row.module("app")
"""


def left_out():
    """The packages of `headrace` that the Containerfile removes from what it installs."""
    text = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    (found,) = re.findall(r"cd \S+/site-packages/headrace && rm -r ([a-z ]+)$", text, re.MULTILINE)
    return set(found.split())


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The wheel, unpacked, as the Containerfile leaves it."""
    directory = tmp_path_factory.mktemp("image")
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(directory), versions=["standard"])
    site = directory / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        packages = left_out()
        for name in archive.namelist():
            top, _, rest = name.partition("/")
            if top != "headrace" or rest.split("/")[0] not in packages:
                archive.extract(name, site)
    return site


@pytest.fixture
def images():
    sys.path.insert(0, str(ROOT / "deploy"))
    try:
        import images
    finally:
        sys.path.remove(str(ROOT / "deploy"))
    return images


def test_the_all_in_one_image_finds_what_its_containerfile_copies(images, monkeypatch, tmp_path):
    """pip and the container engine are stood in for: one writes what it would fetch, the other reads."""
    jars = tmp_path / "kafka-1"
    jars.mkdir()
    (jars / "kafka.jar").touch()
    copied = []

    async def kafka_jars(_):
        return jars

    def pip(*words):
        place = Path(words[words.index("-d" if "-d" in words else "-w") + 1])
        place.mkdir(exist_ok=True)
        (place / ("headrace-1.whl" if "wheel" in words else "pip-1.whl")).touch()

    def build(image, context, containerfile, *, base):
        assert image == images.ALL_IN_ONE
        text = containerfile.read_text(encoding="utf-8")
        for line in re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", text, re.MULTILINE):
            for pattern in line.split():
                found = [str(path.relative_to(context)) for path in context.glob(pattern)]
                assert found, pattern
                copied.extend(found)
        (locks,) = re.findall(r"for lock in ([a-z ]+);", text)
        assert {f"{name}.txt" for name in locks.split()} == {path.name for path in context.glob("*.txt")}
        assert (context / "cache" / "kafka-1" / "kafka.jar").exists()

    monkeypatch.setattr(images.install, "kafka_jars", kafka_jars)
    monkeypatch.setattr(images, "pip", pip)
    monkeypatch.setattr(images, "build", build)
    images.all_in_one("base")
    assert {"run.txt", "java.txt", "wheels", "cache"} <= set(copied)


def run(tree, *words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE")}
    nobody = {"HEADRACE_KAFKA": "127.0.0.1:1", "HEADRACE_POSTGRES": "postgresql://postgres@127.0.0.1:1/x"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=tree.parent,
        env=environment | nobody | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_the_image_leaves_out_what_services_may_not_import():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (forbidden,) = [
        set(contract["forbidden_modules"])
        for contract in contracts["contracts"]
        if contract.get("source_modules") == ["headrace_services"]
    ]

    assert left_out() == LAPTOP
    assert forbidden == {f"headrace.{package}" for package in LAPTOP | {"cli"}}
    assert all((ROOT / "libs" / "headrace" / package / "__init__.py").exists() for package in LAPTOP)


def test_every_service_is_whole_without_what_the_image_leaves_out():
    child = subprocess.run(
        [sys.executable, "-c", WITHOUT, *(f"headrace.{package}" for package in LAPTOP)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert child.returncode == 0, child.stderr


def test_the_command_of_the_image_has_what_operators_need_and_nothing_of_the_laptop(tree):
    assert not any((tree / "headrace" / package).exists() for package in LAPTOP)
    where = run(
        tree, "-c", "import headrace, headrace_services as them; print(headrace.__file__, them.__file__)"
    )
    assert all(Path(file).is_relative_to(tree) for file in where.stdout.split())

    listed = run(tree, "-m", "headrace_services", "services")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert all(row.name in listed.stdout for row in SERVICES)

    help_text = run(tree, "-m", "headrace_services", "--help").stdout
    commands = set(re.findall(r"^│ ([a-z-]+)  ", help_text, re.MULTILINE))
    assert commands >= {"serve", "init", "services", "dead-letters", "clusters", "segment", "rules"}
    assert not commands & {"up", "down", "demo", "sample", "generate"}

    assert "demo" not in run(tree, "-m", "headrace_services", "segment", "--help").stdout


def test_init_of_the_image_reaches_for_its_engines(tree):
    child = run(tree, "-m", "headrace_services", "init", "payload_tracker")

    assert child.returncode == 1
    assert re.match(r"headrace: cannot reach (Kafka|PostgreSQL) at \S*127\.0\.0\.1:1\b", child.stderr)
