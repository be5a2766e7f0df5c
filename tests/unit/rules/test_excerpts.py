"""A key that a parser's excerpt does not name is no key for its rules: whoever reads one is told, in anybody's pack."""

import re
from typing import Any, TypedDict

import pytest

from headrace.rules.excerpts import UnnamedKey, checked, checking, example
from headrace.rules.testing import archive
from tests.unit.rules.test_commands import headrace, ran

PARSERS = """\
from typing import Any, TypedDict

from insights import parser
from headrace.rules.parsers.documents import KubernetesObject, ObjectHead
from headrace.rules.reading import integer, objects
from headrace.rules.specs import Specs


class Spec(TypedDict, total=False):
    {key}: Any


class Part(TypedDict, total=False):
    machines: Any


class Status(TypedDict, total=False):
    parts: list[Part] | None


class Excerpt(ObjectHead, total=False):
    spec: Spec
    status: Status


@parser(Specs.machine_config_pools)
class Pool(KubernetesObject):
    KIND = "MachineConfigPool"
    EXCERPT = Excerpt

    @property
    def paused(self):
        return self.excerpt["spec"].get("paused")

    @property
    def ready(self):
        return [integer(part, "ready") for part in objects(self.excerpt, "status", "parts") if part["machines"] == 3]
"""
RULE = """\
from insights import make_fail, make_pass, rule
from {package}.parsers import Pool


@rule(Pool)
def report(pools):
    found = [pool.name for pool in pools if pool.{asked}]
    return make_fail("FOUND", pools=found) if found else make_pass("NONE_FOUND")
"""
POOL = {
    "kind": "MachineConfigPool",
    "metadata": {"name": "worker"},
    "spec": {"paused": True},
    "status": {"parts": [{"machines": 3, "ready": 2}]},
}


def pack(directory, name, *, key="paused", asked="paused"):
    """The folder of a package that asks pools for one of their two properties."""
    assert headrace(directory, "rules", "new", name).returncode == 0
    folder = directory / name
    (folder / name / "parsers.py").write_text(PARSERS.format(key=key))
    (folder / name / "rules" / "pools.py").write_text(RULE.format(package=name, asked=asked))
    (folder / "a.tar.gz").write_bytes(archive({"config/machineconfigpools/worker.json": POOL}))
    return folder


def test_a_pack_whose_excerpt_names_what_it_reads_is_loaded_and_judges(tmp_path):
    folder = pack(tmp_path, "right")
    tried = headrace(folder, "rules", "try", "a.tar.gz", "-p", "right")
    assert (tried.returncode, tried.stderr) == (0, "")
    assert "pools: worker" in tried.stdout


def test_a_misspelt_key_stops_a_pack_from_loading_whatever_the_archive_holds(tmp_path):
    folder = pack(tmp_path, "misspelt", key="pausd")
    (folder / "a.tar.gz").write_bytes(archive({}))
    tried = headrace(folder, "rules", "try", "a.tar.gz", "-p", "misspelt")
    assert (tried.returncode, tried.stdout) == (1, "")
    assert tried.stderr == (
        "headrace: misspelt.rules.pools.report reads spec.paused of Pool, whose EXCERPT does not name it; "
        "there it names pausd\n"
    )


def test_a_pack_that_catches_every_exception_is_refused_all_the_same(tmp_path):
    folder = pack(tmp_path, "catching", key="pausd", asked="name")
    rule = folder / "catching" / "rules" / "pools.py"
    rule.write_text(
        rule.read_text().replace(
            "    found = [",
            "    try:\n        pools[0].paused\n    except Exception:\n        pass\n    found = [",
        )
    )
    tried = headrace(folder, "rules", "try", "a.tar.gz", "-p", "catching")
    assert (tried.returncode, tried.stderr) == (
        1,
        "headrace: a rule or parser reads spec.paused of Pool, whose EXCERPT does not name it; there it names pausd\n",
    )


def test_a_key_that_is_read_only_where_a_value_leads_is_found_by_an_archive_with_that_value(tmp_path):
    folder = pack(tmp_path, "led", asked="ready")
    tried = headrace(folder, "rules", "try", "a.tar.gz", "-p", "led")
    reason = (
        "led.rules.pools.report reads status.parts[].ready of Pool, whose EXCERPT does not name it; "
        "there it names machines"
    )
    assert (tried.returncode, tried.stderr) == (1, f"headrace: {reason}\n")
    (folder / "tests" / "test_pools.py").write_text(
        "from headrace.rules.testing import judge\n"
        "from tests.test_control_plane_too_small import RULES\n"
        "def test_pools():\n"
        f"    judge(RULES, {{'config/machineconfigpools/worker.json': {POOL!r}}})\n"
    )
    tested = ran(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_pools.py")
    assert f"ConfigurationError: {reason}" in tested.stdout, tested.stdout + tested.stderr


class Inner(TypedDict, total=False):
    count: Any


class Whole(TypedDict, total=False):
    plain: Any
    inner: Inner
    several: list[Inner] | None
    by_name: dict[str, Inner]


class Parser:
    pass


FOUND = {"plain": {"x": 1}, "inner": {"count": 1}, "several": [{"count": 2}], "by_name": {"a": {"count": 3}}}


def test_an_example_has_every_part_that_an_excerpt_names():
    assert example(Whole) == {"inner": {}, "several": [{}], "by_name": {"example": {}}}
    assert example(Any) is None


def test_what_is_named_is_read_as_ever():
    with checking():
        found = checked(FOUND, Whole, Parser)
    assert found == FOUND
    assert (found["plain"]["x"], found["inner"].get("count"), found["several"][0]["count"]) == (1, 1, 2)
    assert found["by_name"]["a"]["count"] == 3
    assert "plain" in found
    assert found["plain"].get("anything") is None


@pytest.mark.parametrize(
    ("read", "place", "known"),
    [
        (lambda found: found.get("other"), "other", "by_name, inner, plain, several"),
        (lambda found: "other" in found, "other", "by_name, inner, plain, several"),
        (lambda found: found["inner"]["other"], "inner.other", "count"),
        (lambda found: found["several"][0].get("other"), "several[].other", "count"),
        (lambda found: found["by_name"]["a"].get("other"), "by_name.a.other", "count"),
    ],
)
def test_what_is_not_named_is_told_with_its_place_the_parser_and_the_keys_there_are(read, place, known):
    with checking() as unnamed:
        found = checked(FOUND, Whole, Parser)
    told = f"{place} of Parser, whose EXCERPT does not name it; there it names {known}"
    with pytest.raises(UnnamedKey, match=f"^{re.escape(told)}$"):
        read(found)
    assert [str(error) for error in unnamed] == [told]


def test_outside_of_a_check_documents_stay_as_they_are():
    assert checked(FOUND, Whole, Parser) is FOUND
