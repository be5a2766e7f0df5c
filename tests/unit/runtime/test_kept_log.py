"""The log that a local stack keeps, whatever its terminal shows."""

import json
import logging

import pytest

from headrace.runtime.logging import KeptLog, configure, get_logger

pytestmark = pytest.mark.usefixtures("restored_logs")


def test_a_line_below_what_the_terminal_shows_is_kept(tmp_path, capsys):
    kept = KeptLog(tmp_path / "logs" / "services.log")
    configure("WARNING", "text", kept=kept, kept_level="INFO")
    log = get_logger("headrace_services.koku.handlers")
    log.debug("details")
    log.info("started", token="Bearer abc")
    log.warning("held")
    logging.getLogger("aiohttp").info("of a library")
    lines = [json.loads(line) for line in kept.path.read_text().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("started", "info"),
        ("held", "warning"),
        ("of a library", "info"),
    ]
    assert lines[0]["module"] == "headrace_services.koku.handlers"
    assert lines[0]["token"] == "Bearer ***"
    shown = capsys.readouterr().out
    assert "held" in shown
    assert "started" not in shown
    assert "of a library" not in shown


def test_a_log_that_is_full_begins_anew_beside_its_former_content(tmp_path):
    kept = KeptLog(tmp_path / "services.log", limit_bytes=10)
    assert not kept.path.exists()
    for text in ("one\n", "twice as long\n", "two\n"):
        kept.write(text)
    assert kept.path.with_suffix(".log.1").read_text() == "one\ntwice as long\n"
    assert kept.path.read_text() == "two\n"
