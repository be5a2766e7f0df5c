import pytest

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import load
from headrace_services.ros_poller.settings import PollerSettings


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://localhost:8080"),
        ({"KRUIZE_HOST": "kruize", "KRUIZE_PORT": "81"}, "http://kruize:81"),
        ({"KRUIZE_URL": "https://k/x", "KRUIZE_HOST": "other"}, "https://k/x"),
        ({"KRUIZE_PORT": "tcp://10.0.0.1:8080"}, "http://localhost:8080"),
    ],
)
def test_kruize_is_found(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str) -> None:
    for name in ("KRUIZE_URL", "KRUIZE_HOST", "KRUIZE_PORT"):
        monkeypatch.setenv(name, environment.get(name, ""))
    assert load(PollerSettings).kruize == url


def test_a_url_without_a_scheme_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRUIZE_URL", "kruize:8080")
    with pytest.raises(ConfigurationError, match="KRUIZE_URL"):
        load(PollerSettings)
