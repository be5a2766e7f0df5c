"""The page about config.yaml: its examples are read, its class is made, its tables are whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from headrace_services.rules_engine.config_yaml import classes, names
from headrace_services.rules_engine.config_yaml.adapters import EVENTS
from headrace_services.rules_engine.config_yaml.document import read
from headrace_services.rules_engine.config_yaml.plan import OutgoingForm

PAGE = (Path(__file__).parents[3] / "docs" / "rules-config.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("example", "form"),
    list(zip(EXAMPLES, (OutgoingForm.RULES, OutgoingForm.RULES, OutgoingForm.OWN), strict=True)),
    ids=["document", "today", "own"],
)
def test_every_example_is_read(example, form):
    plan = read(example, {})
    assert (plan.incoming.topic, plan.incoming.kafka.servers) == (
        "platform.upload.announce",
        "localhost:29092",
    )
    assert plan.outgoing.form is form


def test_the_class_of_ones_own_works(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "to_files.py").write_text(PYTHON[0], encoding="utf-8")
    classes.make_importable(tmp_path)
    publisher = classes.build(read(EXAMPLES[2], {"REPORTS": str(tmp_path)}).outgoing.own, "publish")
    publisher.publish({"cluster_name": "c"}, "{}")
    assert (tmp_path / "c.json").read_text() == "{}"


def test_every_class_and_every_event_is_in_the_tables():
    tables = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    known = {*names.CONSUMERS, *names.DOWNLOADERS, *names.ENGINES, *names.PUBLISHERS, *names.WATCHERS}
    missing = {name.rpartition(".")[2] for name in known} - set(re.findall(r"\w+", tables))
    assert missing <= {"KafkaPublisher", "LocalStatWatcher"}
    assert [event for event in EVENTS if f"`{event}(" not in tables] == []


@pytest.mark.parametrize("installed", [False, True], ids=["alone", "beside the framework"])
def test_a_path_file_gives_the_documents_command_and_lets_an_installed_framework_go_first(
    tmp_path, installed
):
    (tmp_path / "zz-headrace.pth").write_text(f"{classes.BASES}\n", encoding="utf-8")
    if installed:
        (tmp_path / "insights_messaging").mkdir()
        (tmp_path / "insights_messaging" / "__init__.py").write_text("", encoding="utf-8")
    code = (
        f"import site; site.addsitedir({str(tmp_path)!r}); import insights_messaging as m; print(m.__file__)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert Path(found.stdout.strip()).is_relative_to(tmp_path if installed else classes.BASES)
