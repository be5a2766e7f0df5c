"""Rows 13 and 11 of the fault matrix: a hostile usage file or manifest is refused, cheaply, beside everything else."""

import json
import subprocess
import sys

import pytest

from tests.faults import hostile_files_child
from tests.faults.hostile_files import FILES, LARGE, MANIFESTS

MAX_STALL_SECONDS = 0.25
MAX_EXTRA_MIB = 150.0
# Of what is taken in up to the limits: the numbers alone may have 96.
MAX_EXTRA_MIB_OF_LARGE = 220.0
# Of the child's calibration on a quiet machine; a slower one gets as much more time.
CALIBRATION_SECONDS = 0.08


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What another process made of each."""
    directory = tmp_path_factory.mktemp("hostile")
    child = subprocess.run(
        [sys.executable, hostile_files_child.__file__],
        cwd=directory,
        env={"HOME": str(directory), "TMPDIR": str(directory), "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=280,
        check=True,
    )
    assert list(directory.iterdir()) == []
    return {result["name"]: result for result in map(json.loads, child.stdout.splitlines())}


@pytest.mark.parametrize("name", [*FILES, *MANIFESTS])
@pytest.mark.row(13)
def test_a_hostile_file_is_refused_and_holds_up_neither_the_event_loop_nor_memory(
    found: dict[str, dict], name: str
):
    result = found[name]
    print(result)
    slowness = max(1.0, result["calibration_seconds"] / CALIBRATION_SECONDS)
    assert result["reason"].startswith("refused: ")
    assert len(result["reason"]) < 2000
    assert result["stall_seconds"] < MAX_STALL_SECONDS * slowness
    assert result["extra_mib"] < (MAX_EXTRA_MIB_OF_LARGE if name in LARGE else MAX_EXTRA_MIB)
