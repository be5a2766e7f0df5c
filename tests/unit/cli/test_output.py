"""Plain output, for everything that is no terminal."""

import io
import re

import pytest

from headrace.cli.output import Output, fail
from headrace.runtime.logging import configure, get_logger


def test_table_is_aligned_and_never_cut_or_wrapped():
    stream, key = io.StringIO(), "x" * 300
    Output(stream).table(("name", "key"), [("a", key), ("longer", None), ("c", 7)], title="t")
    assert stream.getvalue() == f"t\nname    key\na       {key}\nlonger\nc       7\n"


def test_table_without_rows_shows_its_headers():
    stream = io.StringIO()
    Output(stream).table(("name", "key"), [])
    assert stream.getvalue() == "name  key\n"


def test_waiting_and_transfer_say_nothing():
    stream = io.StringIO()
    output = Output(stream)
    with output.waiting("starting"), output.transfer("file", 10) as advance:
        advance(10)
    assert stream.getvalue() == ""


def test_failure_is_one_line_and_exit_code_1(capsys):
    with pytest.raises(SystemExit) as ended:
        fail("why")
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", "headrace: why\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_what_a_stranger_wrote_gives_a_terminal_no_orders(stream: type[io.StringIO], capsys):
    hostile = "ok\x1b]0;owned\x07\x9b2J\r\u202eevil"
    opened = stream()
    Output(opened).table(("reason",), [(f"{hostile}\nforged  row",)])
    Output(opened).line(hostile)
    with pytest.raises(SystemExit):
        fail(hostile)
    shown = opened.getvalue() + capsys.readouterr().err
    assert not {"\x07", "\x9b", "\r", "\u202e"} & set(shown)
    assert "\x1b]" not in shown
    assert "\nforged" not in shown


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of so many columns, without colours."""

    def of(columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        return Terminal()

    return of


KEY = "archives/compressed/11/11111111-2222-3333-4444-555555555555/202611/30/191400.tar.gz"
HEADERS = ("sent", "request id", "archive", "note")
ROWS = [("cost", "0123456789abcdef0123456789abcdef", KEY, ""), ("ols", "f" * 32, KEY, "some words that wrap")]


@pytest.mark.parametrize("columns", [40, 80, 120, 170, 200, 400])
def test_ids_and_keys_are_never_folded(terminal, columns):
    stream = terminal(columns)
    Output(stream).table(HEADERS, ROWS)
    for word in (*ROWS[0][1:3], *ROWS[1][1:3]):
        assert word in stream.getvalue()


def test_a_table_too_wide_for_its_terminal_is_a_list_without_the_empty_cells(terminal):
    stream = terminal(80)
    Output(stream).table(HEADERS, ROWS, title="t")
    assert stream.getvalue() == (
        f"t\n- sent        cost\n  request id  {'0123456789abcdef' * 2}\n  archive     {KEY}\n"
        f"- sent        ols\n  request id  {'f' * 32}\n  archive     {KEY}\n  note        some words that wrap\n"
    )


def test_only_prose_is_wrapped_where_that_is_enough(terminal):
    stream = terminal(40)
    Output(stream).table(("id", "message"), [("x" * 20, "words that say in full why it was refused")])
    assert re.sub(r"\x1b\[\d*m", "", stream.getvalue()).splitlines() == [
        "id" + " " * 20 + "message",
        f"{'x' * 20}  words that say in",
        f"{' ' * 20}  full why it was",
        f"{' ' * 20}  refused",
    ]


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_is_kept(terminal, monkeypatch, no_color):
    stream = terminal(200)
    monkeypatch.setenv("NO_COLOR", no_color)
    Output(stream).table(("part", "state"), [("kafka", "failed")])
    assert ("\x1b[31m" in stream.getvalue()) == (not no_color)


def test_a_log_line_is_not_glued_to_the_spinner(terminal, monkeypatch, restored_logs):
    stream = terminal(80)
    monkeypatch.setattr("sys.stdout", stream)
    configure("WARNING", "text")
    with Output().waiting("starting the stack"):
        get_logger("tests").warning("something_happened")
    (piece,) = [piece for piece in re.split(r"[\r\n]", stream.getvalue()) if "something_happened" in piece]
    assert "starting the stack" not in piece


def test_where_nobody_watches_a_spinner_progress_is_a_line_now_and_then(monkeypatch):
    now = 100.0
    monkeypatch.setattr("headrace.cli.output.time.monotonic", lambda: now)
    stream = io.StringIO()
    with Output(stream).waiting("sending") as tell:
        for _ in range(31):
            now += 1
            tell(f"waiting ({now - 100:.0f} s)")
    assert stream.getvalue() == "waiting (10 s)\nwaiting (20 s)\nwaiting (30 s)\n"
