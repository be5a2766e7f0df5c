import os

import pytest

from headrace.rules.evaluation import Rules, RulesConfig
from headrace.rules.evaluation.loading import load_packages
from headrace.runtime.errors import ConfigurationError
from tests.unit.rules import evaluation_archives as archives
from tests.unit.rules.evaluation_processes import evaluations, in_new_process

PACK = "tests.unit.rules.evaluation_pack"


@pytest.fixture
def package(tmp_path, fresh, monkeypatch):
    """Writes a package of its own name; returns that name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**modules: str) -> str:
        name = fresh("pack").replace("-", "_")
        (tmp_path / name / "tests").mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text("")
        (tmp_path / name / "tests" / "__init__.py").write_text("raise RuntimeError('not to be loaded')")
        for module, text in modules.items():
            (tmp_path / name / f"{module}.py").write_text(text)
        return name

    return write


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_cause(package, text, why):
    name = package(fine="", broken=text)
    with pytest.raises(ConfigurationError) as error:
        Rules.load(RulesConfig((name,)))
    assert f"plugins.packages: {name!r}: its module '{name}.broken' cannot be imported: {why}" in str(
        error.value
    )


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match="'no_such_pack' cannot be imported: ModuleNotFoundError"):
        Rules.load(RulesConfig(("no_such_pack",)))


def test_extra_packages_come_from_the_environment(package, monkeypatch):
    name = package(broken="raise ValueError('seen')")
    monkeypatch.setenv("EXTRA_PACKAGES", f" {name} , ")
    with pytest.raises(ConfigurationError, match="ValueError: seen"):
        load_packages(())


def test_a_package_may_be_named_as_a_path(package):
    name = package(broken="raise ValueError('seen')")
    for path in (f"{name}/", f"{name}/broken.py"):
        with pytest.raises(ConfigurationError, match="ValueError: seen"):
            load_packages((path,))


def test_targets_that_match_nothing_are_an_error():
    with pytest.raises(
        ConfigurationError, match=r"target_components is \['nobody\.knows'\]; no loaded component"
    ):
        Rules.load(RulesConfig((f"{PACK}.specs",), target_components=("nobody.knows",)))


def test_an_entry_without_a_name_is_an_error():
    with pytest.raises(ConfigurationError, match=r"plugins.configs\[0\].name is None"):
        Rules.load(RulesConfig((f"{PACK}.specs",), configs=({"enabled": False},)))


def keys(config: RulesConfig) -> set[str]:
    evaluation = in_new_process(evaluations, config, {"demo": archives.demo()})["demo"]
    lists = [value for value in evaluation.report.values() if isinstance(value, list)]
    return {entry["key"] for entries in lists for entry in entries}


def test_components_are_enabled_tagged_and_linked_by_configuration():
    configs = (
        {"name": f"{PACK}.rules.report_text", "enabled": False},
        {"name": f"{PACK}.rules.report_many", "tags": ["z", "y"], "links": {"doc": ["x"]}},
        {"name": "nobody.knows"},
    )
    config = RulesConfig((f"{PACK}.rules",), configs=configs)
    evaluation = in_new_process(evaluations, config, {"demo": archives.demo()})["demo"]
    reports = {entry["key"]: entry for entry in evaluation.report["reports"]}
    assert "TEXT" not in reports
    assert (reports["MANY"]["tags"], reports["MANY"]["links"]) == (["y", "z"], {"doc": ["x"]})
    assert reports["FIRST"]["tags"] == ["a", "b"]


def test_nothing_runs_that_is_not_named_when_nothing_is_enabled_by_default():
    parts = (
        "rules.report_text",
        "rules.Shown_text",
        "specs.DemoSpecs.text",
        "specs.Everywhere.text",
        "rules.lists",
    )
    configs = tuple({"name": f"{PACK}.{part}", "enabled": True} for part in parts)
    assert keys(RulesConfig((f"{PACK}.rules",), default_component_enabled=False, configs=configs)) == {"TEXT"}


def test_only_targets_run():
    config = RulesConfig((f"{PACK}.rules",), target_components=(f"{PACK}.rules.lists", "nobody.knows"))
    assert keys(config) == {"LISTS"}


def order_of_reports(archive: bytes) -> tuple[str, str]:
    import json

    evaluation = evaluations(RulesConfig((f"{PACK}.rules",)), {"demo": archive})["demo"]
    report = {key: value for key, value in evaluation.report.items() if key != "analysis_metadata"}
    return os.environ.get("PYTHONHASHSEED", ""), json.dumps(report)


def test_reports_have_the_same_order_in_every_process(monkeypatch):
    seen = set()
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        seen.add(in_new_process(order_of_reports, archives.demo()))
    (first, first_report), (second, second_report) = seen
    assert first != second
    assert first_report == second_report
