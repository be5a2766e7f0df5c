"""olsconfig.yaml: the documents' snippets start the service, mistakes are named, secrets in them are not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import load
from headrace_services.ols.olsconfig import read_configuration
from headrace_services.ols.records import status
from headrace_services.ols.settings import OlsSettings
from headrace_services.ols.store import UserData

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

COLLECTOR_SNIPPET = """
# rest of the olsconfig.yaml
user_data_collector_config:
  data_storage: "some/path"
  log_level: debug
  collection_interval: 10  # seconds
  run_without_initial_wait: true
  ingress_env: stage
  cp_offline_token: token
"""
SERVICE_SNIPPET = """
ols_config:
  user_data_collection:
    feedback_disabled: false
    feedback_storage: "/your-path/user-data/feedback"
    transcripts_disabled: false
    transcripts_storage: "/your-path/user-data/transcripts"
    config_disabled: false
    config_storage: "/your-path/user-data/config"
"""
REAL = """
llm_providers:
  - name: bam
    type: bam
    url: "https://bam-api.res.ibm.com"
    credentials_path: none.txt
    models: [{name: ibm/granite-13b}]
  - name: openai
    models: [{name: gpt-4o}, {name: gpt-4o-mini, context_window_size: 16385}]
  - name: vllm
    type: rhoai_vllm
    url: http://vllm:8000/v1
    models: [{name: granite, parameters: {max_tokens_for_response: 512, unknown: 1}}]
    tlsSecurityProfile: {type: ModernType}
ols_config:
  max_workers: 1
  reference_content:
    indexes:
      - {product_docs_index_path: ./db, product_docs_index_id: ocp-product-docs-4_15}
      - {product_docs_index_path: ./other}
  conversation_cache: {type: memory, memory: {max_entries: 1000}}
  logging_config: {app_log_level: info}
  default_provider: openai
  default_model: gpt-4o-mini
  query_filters:
    - {name: foo, pattern: '\\b(?:foo)\\b', replace_with: deployment}
  quota_handlers:
    limiters: [{name: user, type: user_limiter}]
    enable_token_history: true
  proxy_config: {proxy_url: http://proxy:8080}
  user_data_collection:
dev_config:
  enable_dev_ui: true
mcp_servers:
  - {name: kube, url: "http://localhost:8080/sse"}
user_data_collector_config: {data_storage: /x}
"""


@pytest.fixture
def read(tmp_path: Path, monkeypatch):
    for name in ("OLS_CONFIG_FILE", "OLS_USER_DATA_PATH", "OLS_LLM_URL", "OLS_LLM_MODEL", "OLS_LLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def read(text: str = "", **overrides: str):
        if text:
            path = tmp_path / "olsconfig.yaml"
            path.write_text(text, encoding="utf-8")
            overrides["config_file"] = str(path)
        return read_configuration(load(OlsSettings, **overrides))

    return read


def test_the_collectors_snippet_keeps_nothing(read):
    configuration = read(COLLECTOR_SNIPPET)
    assert configuration.user_data.kept == {}
    assert configuration.user_data.config_status is None


def test_the_services_snippet_keeps_everything(read):
    user_data = read(SERVICE_SNIPPET, user_data_path="/elsewhere").user_data
    root = Path("/your-path/user-data")
    assert user_data.kept == {name: root / name for name in ("feedback", "transcripts", "config")}
    assert user_data.config_status == root / "config_status"


def test_without_a_file_the_directory_says_all(read, tmp_path: Path):
    configuration = read(user_data_path="data")
    assert configuration.user_data.kept == {
        name: tmp_path / "data" / name for name in ("feedback", "transcripts", "config")
    }
    assert (configuration.default_provider, configuration.default_model) == ("headrace", "built-in-responder")
    assert read().user_data.kept == {}


def test_an_endpoint_of_the_environment(read, tmp_path: Path):
    tmp_path.joinpath("key").write_text("the-key\n", encoding="utf-8")
    for text in ("", SERVICE_SNIPPET):
        configuration = read(text, llm_url="http://llm/v1", llm_model="m", llm_api_key_file="key")
        assert configuration.providers["openai"].endpoint == "http://llm/v1"
        assert (configuration.default_provider, configuration.default_model) == ("openai", "m")
        assert configuration.keys == {"openai": "the-key"}
        assert "the-key" not in configuration.text


def test_a_real_file(read, tmp_path: Path):
    tmp_path.joinpath("none.txt").write_text("key of bam", encoding="utf-8")
    configuration = read(REAL)
    openai, vllm = configuration.providers["openai"], configuration.providers["vllm"]
    assert (openai.type, openai.endpoint) == ("openai", "https://api.openai.com/v1")
    assert [model.prompt_tokens for model in openai.models] == [128_000 - 4096, 16_385 - 4096]
    assert vllm.models[0].prompt_tokens == 128_000 - 512
    assert configuration.keys == {"bam": "key of bam"}
    assert status(configuration, NOW) == {
        "timestamp": "2026-01-02T03:04:05+00:00",
        "providers": {"bam": ["bam"], "openai": ["openai"], "rhoai_vllm": ["vllm"]},
        "models": {"bam": ["ibm/granite-13b"], "openai": ["gpt-4o", "gpt-4o-mini"], "vllm": ["granite"]},
        "rag_indexes": ["ocp-product-docs-4_15"],
        "query_redactor_enabled": True,
        "query_filter_count": 1,
        "providers_with_tls_config": ["vllm"],
        "mcp_servers": {"kube": "http"},
        "quota_management_enabled": True,
        "token_history_enabled": True,
        "proxy_enabled": True,
    }


@pytest.mark.parametrize(
    "text",
    [
        "mcp_servers: {servers: [{name: a, url: https://x}, 7, {}]}",
        "mcp_servers: 7\nols_config: {reference_content: []}",
    ],
)
def test_odd_documents_have_a_status(read, text: str):
    assert status(read(text), NOW)["mcp_servers"] in ({"a": "https"}, {})


def ols(text: str) -> str:
    return f"ols_config: {{{text}}}"


PROVIDER = "llm_providers: [{name: a, url: 'http://x', models: [{name: m}]}]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            ols("user_data_collection: {feedback_disabled: false}"),
            "feedback_storage is required when feedback is enabled",
        ),
        (
            ols("user_data_collection: {transcripts_disabled: false}"),
            "transcripts_storage is required when transcripts capturing is enabled",
        ),
        (
            ols("user_data_collection: {config_disabled: false}"),
            "config_storage is required when config collection is enabled",
        ),
        (
            ols("query_filters: [{name: a, pattern: '(', replace_with: x}]"),
            "ols_config.query_filters.0.pattern: ",
        ),
        (
            ols("query_filters: [{name: a, pattern: 'x', replace_with: '\\1'}]"),
            "replace_with does not fit its pattern: invalid group reference 1",
        ),
        (
            ols("query_filters: [{name: a, pattern: 'x'}]"),
            "ols_config.query_filters.0.replace_with: Field required",
        ),
        (ols("authentication_config: {module: magic}"), "ols_config.authentication_config.module: "),
        (PROVIDER, "default_provider is missing"),
        (PROVIDER + ols("default_provider: a"), "default_model is missing"),
        (
            PROVIDER + ols("default_provider: b, default_model: m"),
            "default_provider specifies an unknown provider b",
        ),
        (
            PROVIDER + ols("default_provider: a, default_model: n"),
            "default_model specifies an unknown model n",
        ),
        ("llm_providers: [{name: a, url: 'http://x', models: []}]", "llm_providers.0.models: "),
        (
            "llm_providers: [{name: a, models: [{name: m}]}]",
            "url: got '', expected the URL of an OpenAI-compatible",
        ),
        (
            "llm_providers: [{name: watsonx, models: [{name: m}]}]\n"
            + ols("default_provider: watsonx, default_model: m"),
            "is of type watsonx, which is not supported; expected openai",
        ),
        (
            "llm_providers: [{name: anthropic, models: [{name: m}]}]\n"
            + ols("default_provider: anthropic, default_model: m"),
            "is of type anthropic, which is not supported; expected openai",
        ),
        (
            PROVIDER.replace("url", "credentials_path: /none, url"),
            "credentials_path: got '/none', expected a readable",
        ),
        ("[1]", "got a list, expected a mapping"),
        ("a: b: c", "not a YAML document at line 1"),
        ("password: [s3cret, ]]", "not a YAML document"),
        (ols("user_data_collection: s3cret"), "ols_config.user_data_collection: "),
        (
            ols("system_prompt_path: /none"),
            "ols_config.system_prompt_path: got '/none', expected a readable file",
        ),
    ],
)
def test_mistakes_are_named_without_their_values(read, text: str, expected: str):
    with pytest.raises(ConfigurationError) as raised:
        read(text)
    assert expected in str(raised.value)
    assert "olsconfig.yaml" in str(raised.value) or "credentials_path" in expected
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"config_file": "/none"}, "OLS_CONFIG_FILE: got '/none', expected a readable file: No such file"),
        ({"llm_url": "ftp://x", "llm_model": "m"}, "OLS_LLM_URL: expected a URL"),
        ({"llm_url": "http://x"}, "OLS_LLM_MODEL: got '', expected the name of a model"),
        (
            {"llm_url": "http://x", "llm_model": "m", "llm_api_key_file": "/none"},
            "OLS_LLM_API_KEY_FILE: got '/none'",
        ),
        ({"OLS_AUTHENTICATION": "magic"}, "OLS_AUTHENTICATION: "),
    ],
)
def test_wrong_variables_are_named(read, overrides, expected: str, monkeypatch):
    for name in [name for name in overrides if name.isupper()]:
        monkeypatch.setenv(name, overrides[name])
    with pytest.raises(ConfigurationError, match=expected):
        read(**{name: value for name, value in overrides.items() if name.islower()})


def test_storages_that_a_collector_would_not_find_together_are_told(read, capsys):
    UserData(read(SERVICE_SNIPPET).user_data).warn_of_strays()
    assert "user_data_not_together" not in capsys.readouterr().out
    UserData(read(SERVICE_SNIPPET.replace("data/feedback", "data/opinions")).user_data).warn_of_strays()
    assert "user_data_not_together" in capsys.readouterr().out
