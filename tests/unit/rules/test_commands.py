"""``headrace rules``, run as its users do."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.rules.scaffold import scaffold
from headrace.rules.testing import archive
from headrace.runtime.errors import ConfigurationError
from headrace.samples import KINDS, SampleOptions
from tests import forked
from tests.unit.rule_pack.archives import condition, node

ROOT = Path(__file__).parents[3]
# Of pytest's plugins the scaffolded test needs none, and they take longer than it.
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT / 'libs'}:{ROOT}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def ran(directory, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def headrace(directory, *arguments):
    code, out, err = asyncio.run(
        forked.headrace(*arguments, given=b"", environment=ENVIRONMENT, directory=directory)
    )
    return subprocess.CompletedProcess(arguments, code, out.decode(), err.decode())


def sections(text):
    """The output's blocks by their first line."""
    return {block.partition("\n")[0]: block for block in text.strip().split("\n\n")}


def test_a_new_package_passes_its_own_test_and_can_be_tried(tmp_path):
    made = headrace(tmp_path, "rules", "new", "my-rules")
    assert made.returncode == 0, made.stderr
    package = tmp_path / "my-rules"
    assert sorted(made.stdout.split()) == sorted(
        str(path.relative_to(tmp_path)) for path in package.rglob("*") if path.is_file()
    )
    assert not any("{{package}}" in path.read_text() for path in package.rglob("*") if path.is_file())
    tested = ran(package, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "2 passed" in tested.stdout, tested.stdout + tested.stderr
    (package / "small.tar.gz").write_bytes(archive({"config/node/a.json": node("a", role="master")}))
    tried = headrace(package, "rules", "try", "small.tar.gz", "--package", "my_rules")
    assert tried.returncode == 0, tried.stderr
    hit = sections(tried.stdout)["CONTROL_PLANE_TOO_SMALL: The control plane has fewer than three nodes"]
    assert "(impact 3 of 4, likelihood 2 of 4)" in hit
    assert "Add control plane nodes until there are three." in hit
    assert "1 hit, 0 passed, 0 informed, 0 skipped, 0 failed" in tried.stdout


@pytest.mark.parametrize("name", ["Rules", "1st", "a b", "../up", "", "json", "class", "services", "x" * 41])
def test_a_name_that_cannot_be_one_is_refused_and_nothing_written(tmp_path, name):
    with pytest.raises(ConfigurationError, match=r"^got the name "):
        scaffold(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    refused = headrace(tmp_path, "rules", "new", "mine")
    assert (refused.returncode, refused.stderr) == (1, "headrace: mine already exists\n")


def test_the_shipped_rules_tell_hits_passes_and_information_of_the_sample(tmp_path):
    path = KINDS["insights"].generate(tmp_path, SampleOptions())[0]
    tried = headrace(tmp_path, "rules", "try", path.name)
    assert tried.returncode == 0, tried.stderr
    found = sections(tried.stdout)
    assert "worker-1.demo.example.com" in found["NODES_NOT_READY: Nodes are not ready"]
    assert "oc describe node" in found["NODES_NOT_READY: Nodes are not ready"]
    assert "CLUSTER_VERSION_INFO  version_info  version 4.16.12" in found["Information"]
    assert "NODES_WITHOUT_PRESSURE" in found["Passed"]
    assert "12 hit, 8 passed, 1 informed, 0 skipped, 0 failed" in tried.stdout
    report = json.loads(headrace(tmp_path, "rules", "try", path.name, "--json").stdout)
    assert len(report["reports"]) == 12


def test_rules_that_could_not_run_and_rules_that_raised_are_told_with_the_reason(tmp_path):
    assert headrace(tmp_path, "rules", "new", "bad").returncode == 0
    (tmp_path / "bad/bad/rules/raising.py").write_text(
        "from insights import rule\n"
        "from headrace.rules.parsers.nodes import Node\n"
        "@rule(Node)\n"
        "def report(nodes):\n"
        "    raise KeyError('the reason')\n"
    )
    (tmp_path / "bad/bad/rules/lacking.py").write_text(
        "from insights import rule, make_pass\n"
        "from headrace.rules.parsers.pods import Pod\n"
        "@rule(Pod)\n"
        "def report(pods):\n"
        "    return make_pass('X')\n"
    )
    (tmp_path / "bad/a.tar.gz").write_bytes(archive({"config/node/a.json": node("a", role="master")}))
    tried = headrace(tmp_path / "bad", "rules", "try", "a.tar.gz", "-p", "bad")
    assert tried.returncode == 0, tried.stderr
    found = sections(tried.stdout)
    assert re.search(r"bad\.rules\.lacking +.*Pod", found["Skipped"])
    assert re.search(r"bad\.rules\.raising\.report +KeyError: 'the reason'", found["Failed"])
    assert "1 hit, 0 passed, 0 informed, 1 skipped, 1 failed" in tried.stdout


def test_what_another_kind_of_archive_lacks_is_told_in_words(tmp_path):
    (tmp_path / "host.tar.gz").write_bytes(
        archive({"etc/hostname": b"web1\n", "insights_commands/date": b"now\n"})
    )
    tried = headrace(tmp_path, "rules", "try", "host.tar.gz")
    assert tried.returncode == 0, tried.stderr
    skipped = sections(tried.stdout)["Skipped"]
    assert re.search(r"certificates_expiring +IngressCertificates, GatheredAt$", skipped, re.MULTILINE)
    assert re.search(r"clocks_skewed +Alerts or Node$", skipped, re.MULTILINE)
    assert not re.search(r"[\[\]']|All:|Any:", skipped)


def test_an_archive_cannot_steer_the_terminal(tmp_path):
    message = "\x1b]0;owned\x07\x9b31m[bold]"
    bad = node("a", condition("Ready", "False", message=message))
    (tmp_path / "a.tar.gz").write_bytes(archive({"config/node/a.json": bad}))
    tried = headrace(tmp_path, "rules", "try", "a.tar.gz")
    assert "owned" in tried.stdout
    assert not {"\x1b", "\x07", "\x9b"} & set(tried.stdout)


@pytest.mark.parametrize(
    ("content", "arguments", "reason"),
    [
        (b"no archive", (), "headrace: not gzip"),
        (None, ("-p", "there.is.none"), "headrace: plugins.packages: 'there.is.none' cannot be imported"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_1(tmp_path, content, arguments, reason):
    (tmp_path / "a.tar.gz").write_bytes(archive({}) if content is None else content)
    tried = headrace(tmp_path, "rules", "try", "a.tar.gz", *arguments)
    assert (tried.returncode, tried.stdout) == (1, "")
    assert tried.stderr.startswith(reason)
    assert tried.stderr.count("\n") == 1


def test_the_page_shows_the_rule_that_is_scaffolded():
    template = ROOT / "libs/headrace/rules/templates/PACKAGE/rules/control_plane_too_small.py.txt"
    assert template.read_text() in (ROOT / "docs/rules.md").read_text()


def test_the_parser_on_the_page_reads_what_it_says(tmp_path):
    page = (ROOT / "docs/rules.md").read_text()
    (code,) = re.findall(r"```python\n(# my_rules/parsers\.py\n.+?)```", page, re.DOTALL)
    assert headrace(tmp_path, "rules", "new", "my-rules").returncode == 0
    package = tmp_path / "my-rules"
    (package / "my_rules/parsers.py").write_text(code)
    (package / "my_rules/rules/budgets.py").write_text(
        "from insights import make_info, rule\n"
        "from my_rules.parsers import PodDisruptionBudget\n"
        "@rule(PodDisruptionBudget)\n"
        "def report(budgets):\n"
        "    return make_info('BUDGETS', names=[one.name for one in budgets])\n"
    )
    budget = {"kind": "PodDisruptionBudget", "metadata": {"name": "etcd"}}
    (package / "a.tar.gz").write_bytes(archive({"config/pdbs/etcd.json": budget}))
    tried = headrace(package, "rules", "try", "a.tar.gz", "-p", "my_rules")
    assert "names etcd" in sections(tried.stdout)["Information"], tried.stdout + tried.stderr
