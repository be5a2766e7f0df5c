import pytest

from headrace.runtime.durations import duration_seconds
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import load
from headrace_services.assisted_events.client import Answer
from headrace_services.assisted_events.consent import management_secret
from headrace_services.assisted_events.credentials import BadCredentials
from headrace_services.assisted_events.handlers import Verdict, verdict
from headrace_services.assisted_events.settings import AssistedSettings


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("1h30m", 5400), ("500ms", 0.5), ("1.5h", 5400), ("0", 0), ("-10s", -10), ("1us", 1e-6)],
)
def test_go_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "15", "m", "15 m", "1d", "1h-2m", "ten"])
def test_what_is_no_go_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        duration_seconds(text)


def test_defaults_are_upstreams(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_UPLOAD_ENDPOINT", "ENABLE_DATA_COLLECTION"):
        monkeypatch.delenv(name, raising=False)
    settings = load(AssistedSettings)
    assert settings.enabled
    assert settings.endpoint == "https://console.redhat.com/api/ingress/v1/upload"
    assert settings.interval_seconds == 900
    assert settings.rate_limits == {
        "upgrade_agent_failed": 3600,
        "upgrade_agent_finished": 3600,
        "upgrade_agent_started": 3600,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EVENT_RATE_LIMITS", "no json"),
        ("EVENT_RATE_LIMITS", "[]"),
        ("EVENT_RATE_LIMITS", '{"a": "soon"}'),
        ("CLUSTER_EVENTS_UPLOADER_INTERVAL", "15"),
        ("CLUSTER_EVENTS_UPLOADER_INTERVAL", "0s"),
        ("DATA_UPLOAD_ENDPOINT", "console.redhat.com"),
        ("ASSISTED_SANITISING", "none"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{name}|rate_limits"):
        load(AssistedSettings)


def test_the_agent_installer_is_of_type_abi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENT_TYPE", "MCE")
    monkeypatch.setenv("DEPLOYMENT_VERSION", "2.5")
    assert load(AssistedSettings).deployment["deployment-type"] == "MCE"
    monkeypatch.setenv("INSTALL_INVOKER", "agent-installer")
    assert load(AssistedSettings).deployment == {
        "deployment-type": "ABI",
        "deployment-version": "2.5",
        "git-ref": "headrace",
    }


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_success(status: int) -> None:
    assert verdict(Answer(status)) == Verdict("sent")


@pytest.mark.parametrize("status", [302, 400, 404, 413, 415])
def test_weak_point_what_cannot_succeed_is_given_up_at_once(status: int) -> None:
    assert verdict(Answer(status, "reason")) == Verdict("given_up")


@pytest.mark.parametrize(
    ("status", "blameless"),
    [
        (None, False),
        (408, False),
        (429, True),
        (500, False),
        (502, False),
        (503, True),
        (504, False),
        (100, False),
    ],
)
def test_weak_point_anything_else_is_no_success_and_is_tried_again(
    status: int | None, blameless: bool
) -> None:
    assert verdict(Answer(status, "reason")) == Verdict(None, blameless=blameless)


@pytest.mark.parametrize("status", [401, 403])
def test_a_secret_that_is_refused_may_be_renewed(status: int) -> None:
    assert verdict(Answer(status, "reason")) == Verdict(None, secret=True)


def test_the_pull_secret_file_is_read_each_time(tmp_path) -> None:
    path = tmp_path / "secret"
    settings = AssistedSettings(pull_secret_file=str(path), pull_secret="text")
    with pytest.raises(BadCredentials, match="ASSISTED_PULL_SECRET_FILE cannot be read: FileNotFoundError"):
        management_secret(settings)
    path.write_text("one")
    assert management_secret(settings) == "one"
    path.write_text("two")
    assert management_secret(settings) == "two"
    assert management_secret(AssistedSettings(pull_secret="text")) == "text"
