"""The help of every command, as a newcomer reads it in a narrow terminal."""

import re
from importlib.metadata import version
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from headrace.cli import panels
from headrace_services.__main__ import command

ROOT: Any = typer.main.get_command(command())
PANELS = {value for name, value in vars(panels).items() if name.isupper() and isinstance(value, str)}


def commands(group=ROOT, path=()):
    """Every command and group with its words."""
    yield path, group
    for name, found in getattr(group, "commands", {}).items():
        yield from commands(found, (*path, name))


def helped(*path):
    shown = CliRunner().invoke(command(), [*path, "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert shown.exit_code == 0, shown.output
    return shown.output


def words(text):
    """Without the frames and the breaks of lines."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


@pytest.mark.parametrize(("path", "found"), [pytest.param(*row, id=" ".join(row[0])) for row in commands()])
def test_no_help_is_cut_and_none_names_a_list_twice(path, found):
    shown = helped(*path)
    read = words(shown)
    assert words(found.help) in read
    assert "[[" not in shown
    for below in getattr(found, "commands", {}).values():
        assert words(below.help).split(". ")[0] in read


@pytest.mark.parametrize(("path", "found"), [pytest.param(*row, id=" ".join(row[0])) for row in commands()])
def test_every_argument_says_what_it_is(path, found):
    assert [each.name for each in found.params if each.param_type_name == "argument" and not each.help] == []


def test_what_users_run_comes_before_what_maintainers_run():
    assert {found.rich_help_panel for found in ROOT.commands.values()} == PANELS
    shown = helped()
    assert sorted(PANELS, key=shown.index) == [
        panels.RUN,
        panels.SEND,
        panels.SENDERS,
        panels.OPERATE,
        panels.MAINTAIN,
    ]
    assert shown.index(" generate ") > shown.index(" serve ") > shown.index(" up ")


def test_version_is_shown():
    shown = CliRunner().invoke(command(), ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"headrace {version('headrace')}\n")


def test_a_shell_completes_commands():
    typed = {"_HEADRACE_COMPLETE": "complete_bash", "COMP_WORDS": "headrace sta", "COMP_CWORD": "1"}
    shown = CliRunner().invoke(command(), [], prog_name="headrace", env=typed)
    assert shown.output.split() == ["status"]
