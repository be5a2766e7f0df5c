from pathlib import Path

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace_services.results_aggregator.settings import load_settings, read_allowlist

PREFIX = "INSIGHTS_RESULTS_AGGREGATOR__"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith(("INSIGHTS_RESULTS_AGGREGATOR", "RESULTS_AGGREGATOR")):
            monkeypatch.delenv(name)


def test_upstreams_variables_have_upstreams_defaults() -> None:
    settings, idle = load_settings()
    assert settings.auth
    assert not settings.debug
    assert (settings.maximum_feedback_message_length, settings.org_overview_limit_hours) == (255, 2)
    assert settings.port is None
    assert idle == {}


def test_the_environment_goes_before_the_file_and_what_has_no_effect_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[broker]\ntopic = "ccx.ocp.results"\nsasl_username = ""\n[server]\naddress = ":8080"\ndebug = true\n'
        "org_overview_limit_hours = 5\nauth = false\n[colour]\nhue = 3\n"
    )
    monkeypatch.setenv("INSIGHTS_RESULTS_AGGREGATOR_CONFIG_FILE", str(file))
    monkeypatch.setenv(PREFIX + "SERVER__AUTH", "true")
    monkeypatch.setenv(PREFIX + "REDIS__ENDPOINT", "localhost:6379")
    settings, idle = load_settings()
    assert (settings.auth, settings.debug, settings.org_overview_limit_hours, settings.port) == (
        True,
        True,
        5,
        8080,
    )
    assert idle == {
        PREFIX + "BROKER__TOPIC": "the topics and the group are those of docs/configuration.md",
        PREFIX + "COLOUR__HUE": "there is no such setting",
        PREFIX + "REDIS__ENDPOINT": "everything is kept in PostgreSQL",
    }
    monkeypatch.setenv("RESULTS_AGGREGATOR_PORT", "8006")
    assert load_settings()[0].port is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "No such file"), ("[server", "Expected"), ("[server]\ndebug = 7\n", "SERVER__DEBUG")],
)
def test_a_file_that_cannot_be_taken_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, reason: str
) -> None:
    file = tmp_path / "config.toml"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("INSIGHTS_RESULTS_AGGREGATOR_CONFIG_FILE", str(file))
    with pytest.raises(ConfigurationError, match=reason):
        load_settings()


def test_the_allowlist_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "allowed.csv"
    file.write_text("1,2\n11789772\n\n")
    monkeypatch.setenv(PREFIX + "PROCESSING__ORG_ALLOWLIST_FILE", str(file))
    assert read_allowlist(load_settings()[0]) is None
    monkeypatch.setenv(PREFIX + "BROKER__ENABLE_ORG_ALLOWLIST", "true")
    assert read_allowlist(load_settings()[0]) == {1, 2, 11789772}
    file.write_text("one\n")
    with pytest.raises(ConfigurationError, match="ORG_ALLOWLIST_FILE"):
        read_allowlist(load_settings()[0])
