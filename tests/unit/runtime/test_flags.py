"""What a variable turns off is turned off: every flag of every service, in every spelling."""

from importlib import import_module
from importlib.util import find_spec

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import Settings, environment_name, load
from headrace_services.registry import BY_NAME

ON = ("true", "True", "TRUE", "t", "1", "yes", "YES", "on", "On", " true", "true\n")
OFF = ("false", "False", "FALSE", "f", "0", "no", "NO", "off", "Off", " false", "false ", "FALSE\n")
NEITHER = ("none", "null", "disabled", "2", "-1", "tru", "'false'", "false;")


def flags():
    """Settings class and field of every flag; with the classes of every service imported."""
    for name in BY_NAME:
        if find_spec(f"headrace_services.{name}.settings"):
            import_module(f"headrace_services.{name}.settings")
    found = [Settings]
    for one in found:
        found += [below for below in one.__subclasses__() if below not in found]
    return [
        pytest.param(one, field, environment_name(one, field), id=environment_name(one, field))
        for one in found
        if one.__module__.startswith(("headrace_services.", "headrace."))
        for field, declared in one.model_fields.items()
        if declared.annotation is bool
    ]


def read(settings, field, monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)
    return getattr(load(settings), field)


@pytest.mark.parametrize(("settings", "field", "variable"), flags())
def test_a_flag_is_what_it_is_set_to_in_every_spelling_and_nonsense_is_refused(
    settings, field, variable, monkeypatch
):
    assert [read(settings, field, monkeypatch, variable, text) for text in OFF] == [False] * len(OFF)
    assert [read(settings, field, monkeypatch, variable, text) for text in ON] == [True] * len(ON)
    for text in NEITHER:
        with pytest.raises(ConfigurationError, match=variable):
            read(settings, field, monkeypatch, variable, text)
    # Set but empty is not set, but for what somebody may have meant to turn off.
    unset = variable == "ENABLE_DATA_COLLECTION"
    monkeypatch.delenv(variable)
    default = getattr(load(settings), field)
    for text in ("", "  "):
        assert read(settings, field, monkeypatch, variable, text) is (False if unset else default)


def test_the_flags_of_the_senders_are_among_them():
    names = {flag.id for flag in flags()}
    assert names >= {
        "ENABLE_DATA_COLLECTION", "ASSISTED_SEND_EARLIER", "ASSISTED_ALL_INFRA_ENVS", "ASSISTED_EITHER_PULL_SECRET",
        "RUN_WITHOUT_INITIAL_WAIT", "OLS_COLLECTOR_CLEANUP_AFTER_SEND", "OLS_COLLECTOR_CP_OFFLINE_TOKEN_IS_DIRECT",
        "SEGMENT_NUMERIC_IDS", "SEGMENT_GZIP", "SEGMENT_RESEND", "SPLUNK_INSECURE", "HEADRACE_LENIENT",
    }  # fmt: skip


def test_a_value_that_is_given_is_not_changed_by_the_environment(monkeypatch):
    from headrace_services.assisted_events.settings import AssistedSettings

    monkeypatch.setenv("ENABLE_DATA_COLLECTION", "")
    assert AssistedSettings(enabled=True).enabled
    assert not AssistedSettings().enabled
