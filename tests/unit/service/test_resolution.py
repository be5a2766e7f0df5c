"""The services' table is what is used: a row changes by the settings it declares, and by nothing else."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.serving import show_services
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.set_by import Setting
from headrace.runtime.settings import environment_name
from headrace.service.context import Context
from headrace.service.declarations import settings_of, variables_of
from headrace.service.resolution import rendered, resolved
from headrace.service.row import Service
from headrace.service.shared import Shared
from headrace_services import registry
from headrace_services.registry import BY_NAME, SERVICES

SETTABLE = [row for row in SERVICES if row.settings]
# What a setting is set to, and what the table then has, where that is not the text itself.
GIVEN: dict[str, tuple[str, Any]] = {
    "ARCHIVER_SERVICES": (json.dumps({"ols": {}, "qpc": {}}), frozenset({"ols", "qpc"})),
    "RULES_ENGINE_WORKERS": ("3", 15),
    "RULES_ENGINE_DEADLINE_SECONDS": ("10", 60 + 6 * 10 + 30),
}


def declared() -> Iterator[Any]:
    for row in SETTABLE:
        for number, item in enumerate(row.consumes):
            for term, setting in item.set_by.items():
                yield pytest.param(row, number, term, setting, id=f"{row.name}-{item.group}-{term}")


def named() -> Iterator[Any]:
    for row in SETTABLE:
        for name, setting in row.set_by.items():
            yield pytest.param(row, name, setting, id=f"{row.name}-{name}")


def names(row: Service) -> list[str]:
    return [*(topic.name for topic in row.produces), *row.buckets]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in SETTABLE:
        for variable in variables_of(row):
            monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(("row", "number", "term", "setting"), list(declared()))
def test_a_setting_of_a_term_changes_what_is_consumed(
    row: Service, number: int, term: str, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, expected = GIVEN.get(setting.variable, ("own-name", setting.form.format("own-name")))
    monkeypatch.setenv(setting.variable, text)
    item = Context.of(row, Shared(None, None)).row.consumes[number]  # type: ignore[arg-type]
    assert (item.topic.name if term == "topic" else getattr(item, term)) == expected
    assert not item.set_by


@pytest.mark.parametrize(("row", "name", "setting"), list(named()))
def test_a_setting_of_a_name_changes_what_is_sent_to_and_made(
    row: Service, name: str, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting.variable, "own-name")
    assert "own-name" in names(resolved(row))
    assert name not in names(resolved(row))


@pytest.mark.parametrize(("row", "name", "setting"), list(named()))
def test_what_is_switched_off_is_neither_sent_to_nor_made(
    row: Service, name: str, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting.off is None:
        monkeypatch.setenv(setting.variable, "")
        assert name in names(resolved(row))
        return
    monkeypatch.setenv(setting.variable, setting.off)
    assert name not in names(resolved(row))
    assert len(names(resolved(row))) < len(names(row))


def test_a_topic_that_is_switched_off_is_not_consumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESULTS_AGGREGATOR_DVO_TOPIC", "none")
    (reports,) = resolved(BY_NAME["results_aggregator"]).consumes
    assert reports.topic.name == "ccx.ocp.results"


@pytest.mark.parametrize("row", SETTABLE, ids=lambda row: row.name)
def test_without_settings_the_table_has_what_is_used(row: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RULES_ENGINE_WORKERS", "1")
    assert resolved(row) == rendered(row, {})
    opt_in = {name for name, setting in row.set_by.items() if setting.is_opt_in}
    assert set(names(row)) - set(names(resolved(row))) == opt_in
    for known, used in zip(row.consumes, resolved(row).consumes, strict=True):
        assert (known.topic, known.group, known.values) == (used.topic, used.group, used.values)
        assert (known.concurrency, known.deadline_seconds) == (used.concurrency, used.deadline_seconds)


def test_clowders_names_are_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "clowder.json"
    renamed = {"requestedName": "platform.upload.announce", "name": "granted"}
    broker = {"hostname": "kafka", "port": 9092}
    file.write_text(json.dumps({"kafka": {"brokers": [broker], "topics": [renamed]}}))
    monkeypatch.setenv("ACG_CONFIG", str(file))
    assert resolved(BY_NAME["ingress"]).produces[0].name == "granted"


@pytest.mark.parametrize("row", SETTABLE, ids=lambda row: row.name)
def test_each_setting_is_declared_by_its_service(row: Service) -> None:
    kinds = settings_of(row)
    for setting in row.settings:
        assert set(setting.variables) <= variables_of(row)
        (kind,) = {
            kind for kind in kinds for name in kind.model_fields if environment_name(kind, name) == setting.variable
        }  # fmt: skip
        assert not setting.by or hasattr(kind, setting.by)


def test_a_setting_that_nobody_declares_stops_the_start() -> None:
    row = Service("ros_poller", "", set_by={"a": Setting("NO_SUCH_VARIABLE")}, buckets=("a",))
    with pytest.raises(ConfigurationError, match="ros_poller: its row names NO_SUCH_VARIABLE"):
        resolved(row)


def test_a_pod_is_rendered_by_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOAD_TOPIC", "of-this-process")
    events, resources = rendered(
        BY_NAME["ros_processor"], {"UPLOAD_TOPIC": "of-the-pod", "KAFKA_CONSUMER_GROUP_ID": "g"}
    ).consumes
    assert (events.topic.name, events.group, resources.group) == ("of-the-pod", "g", "g-housekeeper")


def test_the_command_shows_the_table_as_it_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECOMMENDATION_TOPIC", "own-name")
    monkeypatch.setenv("KAFKA_CONSUMER_GROUP_ID", "own-group")
    monkeypatch.setenv("RULES_ENGINE_WORKERS", "3")
    show_services([BY_NAME[name] for name in ("ros_processor", "ros_poller", "rules_engine")])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ros_poller", "own-name", "own-group-poller", "8", "60"] in lines
    assert [
        "rules_engine",
        "platform.upload.announce",
        "rules_engine",
        "15",
        "270",
        "service",
        "openshift",
    ] in lines
    assert sum("own-name," in words for words in lines) == 1


def test_no_service_changes_its_row_or_makes_terms_of_its_own() -> None:
    """`replace()` and `Consumption()` do not stand in an `app.py`; a topic is taken from the row."""
    folder = Path(registry.__file__).parent
    found = []
    for path in sorted(folder.glob("*/app.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            name = getattr(called, "id", getattr(called, "attr", ""))
            if name in {"replace", "Consumption", "Topic"}:
                found.append(f"{path.parent.name}/app.py:{node.lineno}: {name}")  # type: ignore[attr-defined]
    assert not found
