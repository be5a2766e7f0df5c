from pathlib import Path

import pytest

from headrace.rules import SHIPPED_PACK
from headrace.rules.catalogue import Catalogue
from headrace.rules.content import content_of
from headrace.runtime.errors import ConfigurationError

NODES = "headrace.rule_pack.rules.nodes_not_ready"


def test_the_shipped_pack_is_described_with_risks():
    catalogue = Catalogue.of([SHIPPED_PACK])
    content = catalogue.key(f"{NODES}.report", "NODES_NOT_READY")
    told = content_of(f"{NODES}.report", "NODES_NOT_READY")
    assert content is not None
    assert told is not None
    assert (content.description, content.impact, content.likelihood) == (
        told.description, told.impact, told.likelihood,
    )  # fmt: skip
    assert content.texts["resolution"] == told.resolution
    assert content.texts["summary"] == told.summary
    assert catalogue.total_risk(NODES, "NODES_NOT_READY") == (told.impact + told.likelihood) // 2
    assert catalogue.total_risk("other.rules.x", "KEY") == 0
    assert all(rule.keys and rule.name for rule in catalogue.rules.values())


def test_a_users_package_is_read_without_being_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "their_rules"
    rule, key = package / "content" / "disk_full", package / "content" / "disk_full" / "DISK_FULL"
    key.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('run')")
    (package / "content" / "config.yaml").write_text("impact: {Data Loss: 4}")
    (rule / "plugin.yaml").write_text("name: The disk is full\npython_module: their_rules.rules.disk_full")
    (rule / "reason.md").write_text("of every key\n")
    (key / "metadata.yaml").write_text("impact: Data Loss\nlikelihood: 3\ntags: [disk]\nstatus: active")
    (key / "generic.md").write_bytes(b"\xff broken")
    (package / "content" / "undescribed" / "KEY").mkdir(parents=True)
    (package / "content" / "linked").symlink_to(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    catalogue = Catalogue.of(["their_rules"])
    assert list(catalogue.rules) == ["their_rules.rules.disk_full", "their_rules.rules.undescribed"]
    content = catalogue.key("their_rules.rules.disk_full", "DISK_FULL")
    assert content is not None
    assert (content.description, content.total_risk, content.tags) == ("The disk is full", 3, ("disk",))
    assert (content.texts["reason"], content.texts["generic"]) == ("of every key", "\ufffd broken")
    assert catalogue.total_risk("their_rules.rules.undescribed.report", "KEY") == 0


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(ConfigurationError, match="'not_there' is not installed"):
        Catalogue.of(["not_there"])
