"""Row 11 of the fault matrix, for rules: a hostile archive costs a worker less than 2 s of CPU and 64 MiB."""

import json
import random
import subprocess
import sys

import pytest

from tests.calibration import Calibration
from tests.faults import rules_evaluating_child
from tests.faults.hostile_archives import HOSTILE, ordinary, with_nested_archive
from tests.unit.archives.tars import file, gz, pax

# What one process made of them all is shared.

MAX_CPU_SECONDS = 2.0
MAX_EXTRA_RSS_MIB = 64.0
TAKEN = {
    # What a host's file tree may hold is left out instead; in these archives nothing else is left.
    "symbolic link out": "is below a member that is not a directory",
    "hard link out": "a hard link to '../../x', which is not an earlier file",
    "character device": "the archive contains no files",
    "block device": "the archive contains no files",
    "FIFO": "the archive contains no files",
}


def large_headers() -> bytes:
    """Little data, each byte between headers as large as may be."""
    comment = "".join(random.Random(6).choices("abcdefgh", k=600)) * 100
    return gz(b"".join(pax({"comment": comment}) + file(f"m{number}", b"x") for number in range(3000)), 1)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What one process with rules made of each archive, by name, and what it cost."""
    directory = tmp_path_factory.mktemp("uploads")
    archives = {name: build() for name, (build, _) in HOSTILE.items()}
    content = ordinary()
    archives["cut after large headers"] = large_headers()[:-9]
    archives |= {"nested": with_nested_archive(), "ordinary": content}
    archives |= {f"cut at {end}": content[:end] for end in range(1024, len(content), 1024)}
    names = list(archives)
    for number, name in enumerate(names):
        (directory / str(number)).write_bytes(archives[name])
    machine = Calibration()
    child = subprocess.run(
        [sys.executable, rules_evaluating_child.__file__, str(len(names))],
        cwd=directory,
        env={"HOME": str(directory), "TMPDIR": str(directory), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(list(directory.iterdir())) == len(names)
    allowed = {"allowed_cpu_seconds": machine.cpu(MAX_CPU_SECONDS)}
    return {name: line | allowed for name, line in zip(names, lines, strict=True)}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.row(11)
def test_a_hostile_archive_is_refused_cheaply(name, results, record_property):
    result = results[name]
    record_property(
        "figures",
        f"{result['cpu_seconds']:.2f} s CPU, {result['extra_rss_mib']:.1f} MiB extra RSS: {result['reason']}",
    )
    assert TAKEN.get(name, HOSTILE[name][1]) in result["reason"]
    assert result["cpu_seconds"] < result["allowed_cpu_seconds"]
    assert result["extra_rss_mib"] < MAX_EXTRA_RSS_MIB
    assert result["written"] == []


@pytest.mark.row(11)
def test_a_nested_bomb_is_data_and_never_opened(results):
    assert results["nested"]["reason"].startswith("evaluated: it contains 'inner.tar.gz' at its top level")
    assert results["nested"]["extra_rss_mib"] < MAX_EXTRA_RSS_MIB


def test_headers_kept_alive_by_a_byte_of_data_are_counted(results):
    result = results["cut after large headers"]
    assert result["reason"] == "the gzip stream is truncated"
    assert result["extra_rss_mib"] < MAX_EXTRA_RSS_MIB
    assert result["cpu_seconds"] < result["allowed_cpu_seconds"]


@pytest.mark.row(11)
def test_a_truncated_archive_is_refused_wherever_it_is_cut(results):
    cut = [result["reason"] for name, result in results.items() if name.startswith("cut at")]
    assert len(cut) > 60
    assert set(cut) == {"the gzip stream is truncated"}
    assert results["ordinary"]["reason"] == "evaluated: None"
