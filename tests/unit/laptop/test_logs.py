"""`headrace logs`: by a part's own name, or a container's."""

import io
import json

import pytest

from headrace.laptop import logs
from headrace.runtime.errors import ConfigurationError
from headrace_services.registry import SERVICES

LINES = (
    {"event": "service_started", "service": "ros_processor", "module": "headrace.service.host"},
    {"event": "message", "service": "koku", "module": "headrace.bus.dispatcher"},
    {"event": "profile", "module": "headrace_services.kruize.app"},
    {"event": "stalled", "module": "headrace.runtime.watchdog"},
)


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "services.log.1").write_text(json.dumps(LINES[0]) + "\n")
    (tmp_path / "logs" / "services.log").write_text(
        "".join(json.dumps(line) + "\n" for line in LINES[1:]) + "no JSON\n"
    )
    (tmp_path / "logs" / "kafka.log").write_text("first\nlast\n")
    return tmp_path


@pytest.fixture
def shown(directory, monkeypatch):
    def show(*parts, tail=None):
        output = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr("sys.stdout", output)
        logs.show(SERVICES, directory, parts, follow=False, tail=tail)
        return output.buffer.getvalue().decode().splitlines()

    return show


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("rosocp-processor", LINES[0]),
        ("rosocp-processor_1", LINES[0]),
        ("ros_processor", LINES[0]),
        ("koku", LINES[1]),
        ("kruize-autotune", LINES[2]),
    ],
)
def test_a_services_lines_are_its_own(shown, name, line):
    assert [json.loads(text) for text in shown(name)] == [line]


def test_an_engines_log_and_everything(shown):
    assert shown("kafka_1") == ["first", "last"]
    assert shown("kafka", tail=1) == ["last"]
    everything = shown()
    assert everything[:2] == ["first", "last"]
    assert len(everything) == 2 + len(LINES) + 1


def test_what_no_part_is_called_is_refused_naming_the_parts(directory):
    with pytest.raises(
        ConfigurationError, match=r"no part is named \[service-name\]; expected one of kafka, "
    ):
        logs.show(SERVICES, directory, ("[service-name]",), follow=False, tail=None)


def test_without_any_log_it_says_how_to_start(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no log in"):
        logs.show(SERVICES, tmp_path, (), follow=False, tail=None)
