from pathlib import Path

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import ProcessSettings, environment_name
from headrace_services.ols_collector.config import (
    LOCAL_CLUSTER_ID,
    check_data_storage,
    plan_of,
    read_settings,
)
from headrace_services.ols_collector.settings import OlsCollectorSettings

# As the document prints it.
DOCUMENT = """\
# rest of the olsconfig.yaml
user_data_collector_config:
  data_storage: "some/path"
  log_level: debug
  collection_interval: 10  # seconds
  run_without_initial_wait: true
  ingress_env: stage
  cp_offline_token: token
"""
DOCUMENT_OF_THE_SERVICE = """\
ols_config:
  user_data_collection:
    feedback_disabled: false
    feedback_storage: "/your-path/user-data/feedback"
    transcripts_disabled: false
    transcripts_storage: "/your-path/user-data/transcripts"
    config_disabled: false
    config_storage: "/your-path/user-data/config"
"""
SSO = "auth/realms/redhat-external/protocol/openid-connect/token"


@pytest.fixture(autouse=True)
def silent_environment(monkeypatch):
    for field in OlsCollectorSettings.model_fields:
        monkeypatch.delenv(environment_name(OlsCollectorSettings, field), raising=False)


@pytest.fixture
def planned(tmp_path):
    def read(text="", *, lenient=False, **terms):
        path = tmp_path / "olsconfig.yaml"
        path.write_text(text)
        return plan_of(read_settings(path if text else None), ProcessSettings(lenient=lenient), **terms)

    return read


def section(**keys):
    lines = "".join(f"  {name}: {value}\n" for name, value in ({"data_storage": "/d"} | keys).items())
    return f"user_data_collector_config:\n{lines}"


def test_the_document_s_configuration(planned):
    plan = planned(DOCUMENT)
    assert (plan.data_storage, plan.log_level, plan.collection_interval, plan.initial_wait) == (
        "some/path", "DEBUG", 10, 0,
    )  # fmt: skip
    assert plan.cp_offline_token == "token"
    assert plan.ingress_url == "https://console.stage.redhat.com/api/ingress/v1/upload"
    assert plan.sso_url == f"https://sso.stage.redhat.com/{SSO}"


def test_the_service_s_configuration_says_where_the_data_are(planned):
    assert planned(DOCUMENT_OF_THE_SERVICE).data_storage == "/your-path/user-data"


def test_defaults_are_upstream_s(planned):
    plan = planned(section())
    assert (plan.log_level, plan.collection_interval, plan.initial_wait, plan.ingress_timeout) == (
        "INFO", 7200, 300, 30,
    )  # fmt: skip
    assert (plan.ingress_base_delay, plan.ingress_max_retries, plan.access_token_generation_timeout) == (
        60,
        3,
        5,
    )
    assert plan.user_agent_of("c") == "openshift-lightspeed-operator/user-data-collection cluster/c"
    assert plan.ingress_url == "https://console.redhat.com/api/ingress/v1/upload"
    assert plan.sso_url == f"https://sso.redhat.com/{SSO}"


def test_the_oldest_variant_s_variables(planned, monkeypatch):
    for name, value in {
        "OLS_USER_DATA_PATH": "/data",
        "OLS_USER_DATA_COLLECTION_INTERVAL": "60",
        "RUN_WITHOUT_INITIAL_WAIT": "true",
        "INGRESS_ENV": "stage",
        "CP_OFFLINE_TOKEN": "offline",
        "LOG_LEVEL": "DEBUG",
    }.items():
        monkeypatch.setenv(name, value)
    plan = planned()
    assert (plan.data_storage, plan.collection_interval, plan.initial_wait, plan.log_level) == (
        "/data", 60, 0, "DEBUG",
    )  # fmt: skip
    assert plan.cp_offline_token == "offline"
    assert "stage" in plan.ingress_url


def test_a_variable_goes_before_its_key(planned, monkeypatch):
    monkeypatch.setenv("INGRESS_URL", "http://localhost:3000/api/ingress/v1/upload")
    monkeypatch.setenv("OLS_USER_DATA_PATH", "/elsewhere")
    plan = planned(DOCUMENT)
    assert plan.ingress_url == "http://localhost:3000/api/ingress/v1/upload"
    assert (plan.data_storage, plan.collection_interval) == ("/elsewhere", 10)


def test_a_variable_names_the_file(planned, monkeypatch, tmp_path):
    path = tmp_path / "named.yaml"
    path.write_text(DOCUMENT)
    monkeypatch.setenv("OLS_CONFIG_FILE", str(path))
    assert planned().data_storage == "some/path"


def test_the_local_shape_sends_at_once_and_often(planned):
    plan = planned(section(), lenient=True)
    assert (plan.initial_wait, plan.collection_interval) == (0, 5)
    assert (plan.cluster_id, plan.auth_token) == (LOCAL_CLUSTER_ID, "local")


def test_in_the_local_shape_too_what_a_person_says_counts(planned):
    plan = planned(
        section(collection_interval=60, initial_wait=7, cluster_id="mine", cp_offline_token="x"), lenient=True
    )
    assert (plan.initial_wait, plan.collection_interval, plan.cluster_id) == (7, 60, "mine")
    assert (plan.auth_token, plan.cp_offline_token) == ("", "x")


def test_the_offline_token_may_be_a_direct_one(planned):
    plan = planned(section(cp_offline_token="abc", cp_offline_token_is_direct="true"))
    assert (plan.auth_token, plan.cp_offline_token) == ("abc", "")


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"once": True}, (0, 0, False, False)),
        ({"dry_run": True}, (0, 0, True, True)),
        ({"keep": True}, (10, 0, True, False)),
    ],
)
def test_the_command_s_options(planned, terms, expected):
    plan = planned(DOCUMENT, **terms)
    assert (plan.collection_interval, plan.initial_wait, plan.keep, plan.dry_run) == expected


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"ingress_env": "stage"}, "cp_offline_token is required in stage environment"),
        ({"ingress_env": "test"}, "ingress_env: got 'test', expected 'prod' or 'stage'"),
        (
            {"log_level": "loud"},
            "log_level: 'loud' is not a log level; valid levels are debug, info, warning, error, critical",
        ),
        ({"user_agent": "me"}, "user_agent: got 'me', expected it to contain {cluster_id}"),
        ({"cluster_id": '"a b"'}, "cluster_id: got 'a b'"),
        ({"data_storage": '""'}, "data_storage is not set"),
        ({"client_id": "a"}, "client_id, client_secret: expected both or none"),
        ({"ingress_url": "ftp://x"}, "ingress_url: expected an http or https URL"),
        ({"service_id": '"a/b"'}, "service_id: got 'a/b'"),
        ({"collection_interval": "-1"}, "collection_interval: Input should be"),
        ({"ingress_max_retries": "0"}, "ingress_max_retries: Input should be"),
        ({"generation": "4"}, "generation: Input should be"),
        ({"data_storag": "/d"}, "unknown key 'data_storag'; expected some of data_storage"),
        ({"cp_offline_token": "[s3cret-in-a-list]"}, "cp_offline_token is not text"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_named(planned, keys, reason):
    with pytest.raises(ConfigurationError) as caught:
        planned(section(**keys))
    assert reason in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["- a\n", "a: [\ns3cret", "user_data_collector_config: 1\n"])
def test_what_is_no_configuration_is_told_without_its_text(planned, text):
    with pytest.raises(ConfigurationError, match=r"olsconfig\.yaml") as caught:
        planned(text)
    assert "s3cret" not in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(ConfigurationError, match=r"/nowhere\.yaml: cannot be read"):
        read_settings(Path("/nowhere.yaml"))


def test_storages_must_be_siblings(planned):
    with pytest.raises(ConfigurationError, match="not under the same directory"):
        planned(DOCUMENT_OF_THE_SERVICE.replace("/your-path/user-data/config", "/other/config"))


def test_the_command_wants_an_existing_directory(planned):
    with pytest.raises(ConfigurationError, match="data_storage: '/no/such' is not an existing directory"):
        check_data_storage(planned(section(data_storage="/no/such")))


def test_no_secret_shows_in_a_plan(planned):
    plan = planned(section(cp_offline_token="s3cret", client_id="a", client_secret="s3cret"))
    assert "s3cret" not in repr(plan)


@pytest.mark.parametrize(
    ("value", "disabled"),
    [
        ("false", False), ("False", False), ("no", False), ("off", False), ('"false"', False), ('"0"', False),
        ("true", True), ("TRUE", True), ("yes", True), ("on", True), ('"true"', True), ("1", True),
        ("null", True), ("", True), ("~", True),
    ],
)  # fmt: skip
def test_a_kind_that_the_user_disabled_is_not_collected_in_whatever_spelling(planned, value, disabled):
    text = DOCUMENT_OF_THE_SERVICE.replace("transcripts_disabled: false", f"transcripts_disabled: {value}")
    assert planned(text + section()).disabled_kinds == (("transcripts",) if disabled else ())


def test_a_flag_that_is_no_flag_is_an_error_that_names_it(planned):
    text = DOCUMENT_OF_THE_SERVICE.replace("feedback_disabled: false", "feedback_disabled: maybe")
    with pytest.raises(ConfigurationError, match="feedback_disabled is 'maybe', expected true or false"):
        planned(text + section())


def test_what_is_disabled_by_default_is_so_for_the_collector_and_a_key_says_otherwise(planned):
    nothing = "ols_config:\n  user_data_collection:\n    feedback_storage: /d/feedback\n"
    plan = planned(nothing + section())
    assert plan.disabled_kinds == ("feedback", "transcripts", "config")
    assert plan.collects_nothing
    assert planned(nothing + section(disabled_kinds="[]")).disabled_kinds == ()
    # A file of the collector alone says nothing of the service.
    assert planned(section()).disabled_kinds == ()
    with pytest.raises(ConfigurationError, match="disabled_kinds: got feedbak, expected some of feedback"):
        planned(section(disabled_kinds="[feedbak]"))


EXPORTERS_DOCUMENT = """\
data_dir: "/app-root/data"
service_id: "lightspeed-operator"
ingress_server_url: "https://ingress.example.com/api/ingress/v1/upload"
ingress_server_auth_token: "token"
identity_id: "me"
collection_interval: 60
cleanup_after_send: false
ingress_connection_timeout: 7
retry_interval: 300
allowed_subdirs: [feedback, transcripts]
"""


def test_the_exporters_file_is_taken_as_it_is(planned):
    plan = planned(EXPORTERS_DOCUMENT)
    assert (plan.data_storage, plan.generation, plan.service_id) == (
        "/app-root/data",
        3,
        "lightspeed-operator",
    )
    assert plan.ingress_url == "https://ingress.example.com/api/ingress/v1/upload"
    assert (plan.auth_token, plan.cluster_id, plan.collection_interval) == ("token", "me", 60)
    assert (plan.keep, plan.ingress_timeout, plan.allowed_subdirs) == (True, 7, ("feedback", "transcripts"))
    assert plan.retry_interval == 300


@pytest.mark.parametrize("beside", ["user_data_collector_config: {}", "ols_config: {}"])
def test_the_exporters_keys_are_not_lost_in_another_file(planned, beside):
    with pytest.raises(
        ConfigurationError, match=rf"data_dir, retry_interval beside {beside.partition(':')[0]};"
    ):
        planned(f"{beside}\ndata_dir: /d\nretry_interval: 5\n")


@pytest.mark.parametrize("key", ["identity_id", "ingress_server_auth_token", "service_id"])
def test_a_wrong_value_is_named_by_the_key_of_the_exporters_file(planned, key):
    with pytest.raises(ConfigurationError, match=rf": {key} is not text"):
        planned(f"data_dir: /d\n{key}: {{a: b}}\n")


def test_other_files_are_refused_by_their_keys(planned):
    with pytest.raises(
        ConfigurationError, match=r"unknown keys data_dirs, rich_logs; expected user_data_collector_config"
    ):
        planned("data_dirs: /d\nrich_logs: true\nservice_id: x\n")
