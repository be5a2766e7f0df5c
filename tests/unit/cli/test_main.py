"""The command line as it is typed, without a stack."""

import json

import pytest

from headrace.bus.consumption import Consumption
from headrace.cli.main import run
from headrace.cli.serving import chosen
from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.local.shape import settings_of_ports, urls_told
from headrace.runtime.errors import ConfigurationError
from headrace.service.row import Service
from headrace_services.__main__ import command as whole

ROWS = (
    Service("ingress", "takes", port=3000, port_variable="INGRESS_WEBPORT"),
    Service(
        "payload_tracker",
        "keeps",
        port=8003,
        port_variable="TRACKER_PORT",
        known_by=(("TRACKER_URL", "/v1/"),),
        consumes=(Consumption(PAYLOAD_STATUS, group="trackers", concurrency=32),),
    ),
)


@pytest.fixture
def command(monkeypatch, capsys, restored_logs):
    whole()

    def typed(*arguments):
        monkeypatch.setattr("sys.argv", ["headrace", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(ROWS)
        return ended.value.code, *capsys.readouterr()

    return typed


def test_services_lists_the_table_and_what_each_consumes(command):
    code, output, _ = command("services")
    assert code == 0
    services, consumers = output.split("\n\n")
    assert [line.split()[:2] for line in services.splitlines()[1:]] == [
        ["ingress", "3000"],
        ["payload_tracker", "8003"],
    ]
    assert [line.split() for line in consumers.splitlines()[1:]] == [
        ["payload_tracker", "platform.payload-status", "trackers", "32", "60"],
    ]


def test_sample_writes_the_same_bytes_for_the_same_seed(command, tmp_path):
    for name in ("one", "two"):
        assert command("sample", "ols", "-o", tmp_path / name, "--seed", "7")[0] == 0
    assert (tmp_path / "one/ols.tgz").read_bytes() == (tmp_path / "two/ols.tgz").read_bytes()


def test_sample_lists_its_kinds(command):
    code, output, _ = command("sample", "--list")
    assert (code, [line.split()[0] for line in output.splitlines()]) == (
        0,
        ["kind", "ols", "insights", "cost", "assisted"],
    )


def test_unknown_sample_names_the_known_ones(command):
    code, _, error = command("sample", "osl")
    assert (code, error) == (
        1,
        "headrace: got sample 'osl', expected one of ols, insights, cost, assisted\n",
    )


def test_unknown_service_names_the_known_ones(command):
    code, _, error = command("serve", "ingres")
    assert (code, error) == (
        1,
        "headrace: unknown service ingres; expected some of ingress, payload_tracker\n",
    )


def test_wrong_setting_is_named_in_one_line(command, monkeypatch):
    monkeypatch.setenv("HEADRACE_LOG_FORMAT", "xml")
    code, _, error = command("serve", "ingress")
    assert code == 1
    assert error.startswith("headrace: HEADRACE_LOG_FORMAT: ")
    assert error.endswith("(got 'xml')\n")


def test_request_id_for_several_files_is_refused(command, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"")
    code, _, error = command(
        "send", tmp_path / "a", tmp_path / "b", "--request-id", "r1", "--ingress", "http://localhost:1"
    )
    assert (code, error) == (1, "headrace: --request-id applies to one upload, got 2 files\n")


def test_urls_of_a_stack_that_died_are_none(command, tmp_path):
    dead = {"pid": 2**22 + 1, "started": 0.0, "engines": []}
    (tmp_path / "run.json").write_text(json.dumps(dead))
    code, output, error = command("urls", "--directory", tmp_path)
    assert (code, output) == (1, "")
    assert error == f"headrace: no stack is running in {tmp_path}: start one with `headrace up`\n"


def test_services_are_chosen_in_the_order_named_hyphens_allowed():
    assert [row.name for row in chosen(ROWS, ["payload-tracker", "ingress"])] == [
        "payload_tracker",
        "ingress",
    ]
    assert chosen(ROWS, []) == list(ROWS)
    with pytest.raises(ConfigurationError, match="unknown service koku"):
        chosen(ROWS, ["koku"])


def test_port_base_moves_every_port_and_tells_others():
    assert settings_of_ports(ROWS, None) == {}
    assert settings_of_ports(ROWS, 20_000) == {
        "HEADRACE_ADMIN_PORT": "20005",
        "INGRESS_WEBPORT": "20010",
        "TRACKER_PORT": "20011",
        "TRACKER_URL": "http://127.0.0.1:20011/v1/",
    }


def test_others_are_told_where_a_service_really_listens():
    assert urls_told(ROWS, {}) == {"TRACKER_URL": "http://127.0.0.1:8003/v1/"}
    assert urls_told(ROWS, {"TRACKER_PORT": "9"}) == {"TRACKER_URL": "http://127.0.0.1:9/v1/"}
