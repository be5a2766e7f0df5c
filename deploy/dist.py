"""Wheel and source archive, into dist/: `make dist`.

Each is built twice, the second time from the source archive, and both times must give the same bytes: whoever has the
archive can check the wheel. hatchling gives every file one date (SOURCE_DATE_EPOCH, if it is set).
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]
# Headrace, and what is released with it: each folder with a project of its own.
PROJECTS = (ROOT, *sorted(path.parent for path in ROOT.glob("*/pyproject.toml")))
TOOLS = ROOT / ".venv-dist" / "bin"


def build(root: Path, directory: Path) -> list[Path]:
    """The source archive and the wheel of the tree."""
    built = []
    for builder in (SdistBuilder, WheelBuilder):
        built += builder(str(root)).build(directory=str(directory), versions=["standard"])
    return [Path(path) for path in built]


def differences(root: Path, work: Path) -> tuple[list[Path], list[str]]:
    """What is built below `work`, and the names of what comes out otherwise from its source archive."""
    first = build(root, work / "first")
    with tarfile.open(first[0]) as archive:
        archive.extractall(work / "source", filter="data")
    (source,) = (work / "source").iterdir()
    second = {path.name: path.read_bytes() for path in build(source, work / "second")}
    return first, [path.name for path in first if second.get(path.name) != path.read_bytes()]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="headrace-dist-") as name:
        built: list[Path] = []
        for project in PROJECTS:
            made, differing = differences(project, Path(name) / project.name)
            if differing:
                print(
                    f"dist: {', '.join(differing)}: built again from the source archive, it differs",
                    file=sys.stderr,
                )
                return 1
            # Root's settings are for root's wheel.
            settings = () if project == ROOT else ("--no-config",)
            if code := checked(project, ("twine", "check", "--strict", *made)) or checked(
                project, ("check-wheel-contents", *settings, made[1])
            ):
                return code
            built += made
        dist = ROOT / "dist"
        dist.mkdir(exist_ok=True)
        for path in built:
            print(shutil.copy(path, dist))
    return 0


def checked(project: Path, command: Sequence[object]) -> int:
    return subprocess.run(
        [TOOLS / str(command[0]), *map(str, command[1:])], cwd=project, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
