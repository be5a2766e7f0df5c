"""Every rule is described, in the layout that content services read; docs/rules.md lists what is shipped."""

import importlib
import re
from pathlib import Path

import pytest
import yaml
from insights.core import dr

from headrace.rules.content import Content, content_of
from tests.unit.rule_pack.archives import PACK
from tests.unit.rule_pack.samples import HITS, PASSES
from tests.unit.rule_pack.test_rules import NAMES

ROOT = Path(importlib.import_module(PACK).__file__).parent
PAGE = ROOT.parents[2] / "docs" / "rules.md"
IMPACTS = yaml.safe_load((ROOT / "content" / "config.yaml").read_text())["impact"]


def key_of(name):
    module = importlib.import_module(f"{PACK}.rules.{name}")
    return getattr(module, "ERROR_KEY", None) or module.INFO_KEY


def described(name):
    found = content_of(f"{PACK}.rules.{name}.report", key_of(name))
    assert isinstance(found, Content)
    return found


def test_content_and_rules_are_of_one_number():
    assert sorted(path.name for path in (ROOT / "content").iterdir() if path.is_dir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_described(name):
    folder = ROOT / "content" / name
    plugin = yaml.safe_load((folder / "plugin.yaml").read_text())
    metadata = yaml.safe_load((folder / key_of(name) / "metadata.yaml").read_text())
    assert plugin["python_module"] == f"{PACK}.rules.{name}"
    assert IMPACTS[metadata["impact"]] in {1, 2, 3, 4}
    assert metadata["likelihood"] in {1, 2, 3, 4}
    assert "publish_date" not in metadata
    texts = [folder / "summary.md", folder / "more_info.md"]
    texts += [folder / key_of(name) / f"{part}.md" for part in ("generic", "reason", "resolution")]
    assert all(path.read_text().strip() for path in texts)
    report = importlib.import_module(f"{PACK}.rules.{name}").report
    assert sorted(dr.get_tags(report)) == sorted(metadata["tags"])
    assert described(name).impact == IMPACTS[metadata["impact"]]


@pytest.mark.parametrize("name", sorted({name for name, _, _ in HITS}))
def test_reasons_show_only_details_there_are(name):
    from tests.unit.rule_pack.archives import outcome

    reason = (ROOT / "content" / name / key_of(name) / "reason.md").read_text()
    known = {}
    for one, files, _ in HITS:
        if one == name:
            known |= outcome(name, files)[2]
    assert set(re.findall(r"pydata\.(\w+)", reason)) <= set(known)
    for part, loop_name in re.findall(r"\{\{~pydata\.(\w+) :(\w+)\}\}", reason):
        assert set(re.findall(rf"\b{loop_name}\.(\w+)", reason.replace(f"pydata.{part}", ""))) <= set(
            known[part][0]
        )


def test_the_page_lists_what_is_shipped():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \| (\d) \| (\d) \|$", PAGE.read_text(), re.MULTILINE)
    shipped = [
        (name, key_of(name), found.description, str(found.impact), str(found.likelihood))
        for name, found in ((name, described(name)) for name in NAMES)
    ]
    assert rows == shipped


def test_samples_use_keys_of_the_rules():
    for name, _, key in PASSES:
        assert key in vars(importlib.import_module(f"{PACK}.rules.{name}")).values()
