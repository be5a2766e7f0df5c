"""The report made in memory is the report insights-core makes of the files on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.rules.evaluation import RulesConfig
from headrace.samples import KINDS, SampleOptions
from tests.unit.rules import evaluation_archives as archives
from tests.unit.rules.evaluation_processes import both_ways, in_new_process, settled

PACK = "tests.unit.rules.evaluation_pack"
SPECS = tuple(
    f"insights.specs.{name}" for name in ("default", "insights_archive", "core3_archive", "sos_archive")
)
HOSTS = {"host": archives.host, "core3": archives.core3, "sos": archives.sos}
DEMOS: dict[str, Callable[[], bytes]] = {
    "at the root": archives.demo,
    "below a directory": lambda: archives.demo("./top/"),
    "bzip2": lambda: archives.demo("top/", compression="bz2"),
    "xz": lambda: archives.demo(compression="xz"),
    "plain": lambda: archives.demo(compression=""),
    "more files than a glob takes": lambda: archives.demo(thousand=1001),
    "no known kind": lambda: archives.tar({"some/where/demo/text.txt": b"1\n2\n", "some/where/else": b""}),
    "two markers": lambda: archives.tar(
        {
            "a/b/demo/marker.txt": b"",
            "a/b/demo/text.txt": b"deep",
            "demo/marker.txt": b"",
            "demo/text.txt": b"top",
        }
    ),
    "two kinds, the later defined counts": lambda: archives.tar(
        {"demo/twice.txt": b"", "demo/marker.txt": b"", "demo/text.txt": b"1"}
    ),
    "packed again": lambda: archives.tar({"demo/marker.txt": b"", "demo/text.txt": b"1", "log.gz": b"x"}),
}


def samples(directory: Path) -> dict[str, bytes]:
    """The sample archives of an Insights Operator."""
    options_of: dict[str, dict[str, Any]] = {"default": {}, "other": {"seed": 7}}
    return {
        name: KINDS["insights"].generate(directory, SampleOptions(**options))[0].read_bytes()
        for name, options in options_of.items()
    }


def check(config: RulesConfig, uploads: dict[str, bytes], *, in_memory: bool = True) -> dict[str, int]:
    responses = {}
    for name, (evaluation, expected) in in_new_process(both_ways, config, uploads).items():
        assert settled(evaluation.report) == settled(expected), name
        assert (evaluation.on_disk is None) == in_memory, name
        responses[name] = sum(len(value) for value in evaluation.report.values() if isinstance(value, list))
    assert len(responses) == len(uploads)
    return responses


def test_every_kind_of_spec_gives_the_same_in_memory():
    config = RulesConfig((f"{PACK}.rules",), target_components=(f"{PACK}.rules",))
    responses = check(config, {name: build() for name, build in DEMOS.items()})
    assert responses["at the root"] == responses["below a directory"] == 15
    assert responses["packed again"] == 0


def test_what_needs_real_paths_gives_the_same_on_disk():
    config = RulesConfig((f"{PACK}.on_disk",), target_components=(f"{PACK}.on_disk",))
    assert check(config, {"on disk": archives.on_disk()}, in_memory=False) == {"on disk": 3}


@pytest.mark.parametrize("targets", [(), ("insights.plugins", "insights.combiners.hostname", PACK)])
def test_archives_of_hosts_give_the_same(targets):
    packages = (*SPECS, "insights.plugins", "insights.parsers", f"{PACK}.hosts")
    config = RulesConfig(packages, target_components=targets)
    responses = check(config, {name: build() for name, build in HOSTS.items()})
    assert min(responses.values()) > 12


def test_the_pack_of_the_project_gives_the_same_for_the_samples(tmp_path):
    config = RulesConfig(("headrace.rule_pack",))
    responses = check(config, samples(tmp_path))
    assert min(responses.values()) > 3
