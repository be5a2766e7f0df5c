"""Rows 13 and 11 of the fault matrix: a hostile usage file or manifest is refused, cheaply, beside everything else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import hostile_files_child
from tests.faults.hostile_files import FILES, LARGE, MANIFESTS

# The process of all is shared.
pytestmark = pytest.mark.xdist_group("hostile files")

MAX_STALL_SECONDS = 0.25
MAX_EXTRA_MIB = 150.0
# Of what is taken in up to the limits: the numbers alone may have 96.
MAX_EXTRA_MIB_OF_LARGE = 200.0
# Of the child's calibration on a quiet machine; a slower one gets as much more time.
CALIBRATION_SECONDS = 0.08


def worked_on(directory: Path, *names: str) -> dict[str, dict]:
    child = subprocess.run(
        [sys.executable, hostile_files_child.__file__, *names],
        cwd=directory,
        env={"HOME": str(directory), "TMPDIR": str(directory), "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=110,
        check=True,
    )
    assert list(directory.iterdir()) == []
    return {result["name"]: result for result in map(json.loads, child.stdout.splitlines())}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """One process works on all that are refused before anything of them is kept."""
    return worked_on(tmp_path_factory.mktemp("hostile"), *sorted({*FILES, *MANIFESTS} - LARGE))


@pytest.mark.parametrize("name", [*FILES, *MANIFESTS])
@pytest.mark.row(13)
def test_a_hostile_file_is_refused_and_holds_up_neither_the_event_loop_nor_memory(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
):
    # What the allocator keeps of one is not counted to the next.
    found = worked_on(tmp_path, name) if name in LARGE else request.getfixturevalue("together")
    result = found[name]
    print(result)
    slowness = max(1.0, result["calibration_seconds"] / CALIBRATION_SECONDS)
    assert result["reason"].startswith("refused: ")
    assert len(result["reason"]) < 2000
    assert result["stall_seconds"] < MAX_STALL_SECONDS * slowness
    assert result["extra_mib"] < (MAX_EXTRA_MIB_OF_LARGE if name in LARGE else MAX_EXTRA_MIB)
