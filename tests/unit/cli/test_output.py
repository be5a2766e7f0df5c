"""Plain output, for everything that is no terminal."""

import io

import pytest

from headrace.cli.output import Output, fail


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
