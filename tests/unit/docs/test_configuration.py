"""The page of settings is what the settings say."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headrace.laptop.reference import configuration_page, write_page
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings, ProcessSettings, Settings, env
from headrace.service.declarations import settings_of, without_effect
from headrace.service.row import Service
from headrace_services.registry import SERVICES

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
CLASSES = [EngineSettings, ProcessSettings, *(kind for row in SERVICES for kind in settings_of(row))]


class MadeUpSettings(Settings):
    __module__ = "headrace_services.made_up.settings"

    colour: str = env("COLOUR", "red", "`red` | `blue`")
    password: str = env("PASSWORD", "hunter2", "of the door", repr=False)
    limits: dict[str, int] = env("LIMITS", {"a": 1}, "by name")
    names: frozenset[str] = env("NAMES", frozenset({"b", "a"}), "who")
    share: float | None = env("SHARE", None, "of the whole", gt=0, le=1)
    loud: bool = env("LOUD", True, "whether to shout")


@pytest.fixture
def made_up(monkeypatch):
    module: Any = ModuleType("headrace_services.made_up.settings")
    module.MadeUpSettings = MadeUpSettings
    module.Settings = Settings
    module.WITHOUT_EFFECT = {"OLD": "nobody asks"}
    monkeypatch.setitem(sys.modules, "headrace_services.made_up", ModuleType("headrace_services.made_up"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Service(name="made_up", summary="", port=8999, port_variable="MADE_UP_PORT")


def test_the_page_is_as_the_settings_are():
    assert PAGE.read_text(encoding="utf-8") == configuration_page(SERVICES), "renew it with: make docs"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_setting_says_what_it_means(kind):
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


def test_every_service_with_settings_has_a_section():
    titles = [line for line in configuration_page(SERVICES).splitlines() if line.startswith("## Service")]
    assert titles == [f"## Service `{row.name}`" for row in SERVICES if settings_of(row)]


@pytest.mark.parametrize(
    "line",
    [
        "| `COLOUR` | text | `red` | `red` \\| `blue` |",
        "| `PASSWORD` | text | (not shown) | of the door |",
        '| `LIMITS` | JSON object | `{"a": 1}` | by name |',
        "| `NAMES` | JSON list | `a,b` | who |",
        "| `SHARE` | number, more than 0, at most 1 |  | of the whole |",
        "| `LOUD` | `true` or `false` | `true` | whether to shout |",
        "| `MADE_UP_PORT` | `8999` | made_up |",
        "| `OLD` | nobody asks |",
    ],
)
def test_a_setting_is_a_row_in_plain_words(made_up, line):
    assert line in configuration_page([made_up]).splitlines()


def test_a_secret_default_is_nowhere_on_the_page(made_up):
    assert "hunter2" not in configuration_page([made_up])


def test_a_service_without_settings_has_no_section(monkeypatch):
    package = ModuleType("headrace_services.bare")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "headrace_services.bare", package)
    assert settings_of(Service(name="bare", summary="")) == []


def test_a_service_whose_settings_import_what_is_missing_is_told(monkeypatch, tmp_path):
    package = ModuleType("headrace_services.broken")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "headrace_services.broken", package)
    tmp_path.joinpath("settings.py").write_text("import no_such_library_here\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="no_such_library_here"):
        settings_of(Service(name="broken", summary=""))


def test_a_page_that_cannot_be_written_is_told_in_one_line(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot write .*page\.md: No such file"):
        write_page(tmp_path / "missing" / "page.md", "")


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row.name)
def test_what_has_no_effect_is_among_the_differences(row):
    differences = PAGE.with_name("differences.md").read_text(encoding="utf-8")
    assert [name for name in without_effect(row) if f"`{name}`" not in differences] == []
