"""insights-core is an extra: what runs no rules works without it, and whoever needs it is told."""

import subprocess
import sys

import pytest

# None in its place makes an import fail, as where it is not installed.
WITHOUT = """
import sys
sys.modules["insights"] = None
from headrace_services.__main__ import main
sys.argv = ["headrace", *sys.argv[1:]]
main()
"""


REASON = "the rules need insights-core, which is not installed; expected: pip install 'headrace[rules]'"


def headrace(directory, *arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("services",), "rules_engine"),
        (("rules", "new", "my-rules"), "my-rules/my_rules/rules/control_plane_too_small.py"),
    ],
)
def test_a_command_that_runs_no_rules_works(tmp_path, arguments, said):
    ran = headrace(tmp_path, *arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert said in ran.stdout


@pytest.mark.parametrize("command", ["try", "run"])
def test_a_command_that_runs_rules_says_what_to_install(tmp_path, command):
    (tmp_path / "file").write_bytes(b"")
    ran = headrace(tmp_path, "rules", command, "file")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", f"headrace: {REASON}\n")
