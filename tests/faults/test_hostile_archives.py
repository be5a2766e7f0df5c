"""Row 11 of the fault matrix: a hostile archive costs less than 2 s of CPU and 64 MiB, and writes nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.calibration import Calibration
from tests.faults import archive_reading_child
from tests.faults.hostile_archives import HOSTILE, ordinary, with_nested_archive

MAX_CPU_SECONDS = 2.0
MAX_EXTRA_RSS_MIB = 64.0


def read(archive: bytes, directory: Path, *ends: int) -> list[dict]:
    path = directory / "upload"
    path.write_bytes(archive)
    child = subprocess.run(
        [sys.executable, archive_reading_child.__file__, str(path), *map(str, ends)],
        cwd=directory,
        env={"HOME": str(directory), "TMPDIR": str(directory), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    results = [json.loads(line) for line in child.stdout.splitlines()]
    assert [entry.name for entry in directory.iterdir()] == ["upload"]
    assert results[-1]["written"] == []
    return results


def check_cost(name: str, archive: bytes, result: dict, machine: Calibration) -> None:
    print(
        f"{name}: {len(archive) / 1024:.0f} KiB, {result['cpu_seconds']:.2f} s CPU,"
        f" {result['extra_rss_mib']:.1f} MiB extra RSS: {result['reason']}"
    )
    assert result["cpu_seconds"] < machine.cpu(MAX_CPU_SECONDS)
    assert result["extra_rss_mib"] < MAX_EXTRA_RSS_MIB


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.row(11)
def test_a_hostile_archive_is_refused_cheaply_and_writes_nothing(name, tmp_path):
    build, reason = HOSTILE[name]
    archive, machine = build(), Calibration()
    (result,) = read(archive, tmp_path)
    check_cost(name, archive, result, machine)
    assert reason in result["reason"]


@pytest.mark.row(11)
def test_a_nested_bomb_is_data_and_never_opened(tmp_path):
    archive, machine = with_nested_archive(), Calibration()
    (result,) = read(archive, tmp_path)
    check_cost("nested bomb", archive, result, machine)
    assert result["reason"] == "accepted 1 members"


@pytest.mark.row(11)
def test_a_truncated_archive_is_refused_wherever_it_is_cut(tmp_path):
    archive, machine = ordinary(), Calibration()
    ends = [*range(1024, len(archive), 1024), len(archive) - 1]
    results = read(archive, tmp_path, *ends, len(archive))
    assert len(results) > 60
    assert {result["reason"] for result in results[:-1]} == {"the gzip stream is truncated"}
    assert results[-1]["reason"] == "accepted 80 members"
    check_cost("truncated", archive, max(results, key=lambda result: result["cpu_seconds"]), machine)
