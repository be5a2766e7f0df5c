"""What must not get out: planted secrets are looked for in every log line, answer and file."""

import json
from pathlib import Path

from tests.integration.ols.harness import FEEDBACK, Llm, Ols, answers, open_ols, open_process
from tests.integration.ols.test_authentication import Cluster, cluster  # noqa: F401 -- a fixture

CONFIG = """\
# once it was: cp_offline_token: planted-old-offline-token
llm_providers:
  - name: first
    url: {url}   # where it is
    credentials_path: {key}
    models: [{{name: m}}]
ols_config:
  default_provider: first
  default_model: m
  conversation_cache: {{postgres: {{password: planted-password, password_path: /run/secrets/pg}}}}
  user_data_collection:
    feedback_disabled: false
    feedback_storage: ROOT/feedback
    transcripts_disabled: false
    transcripts_storage: ROOT/transcripts
    config_disabled: false
    config_storage: ROOT/config
mcp_servers:
  - {{name: kube, url: 'https://planted-user:planted-pass@mcp/sse', headers: {{Authorization: Bearer planted-mcp}}}}
user_data_collector_config:
  data_storage: ROOT
  cp_offline_token: planted-offline-token
  access_token_generation_timeout: 5
"""


TOKEN = "planted-user-token"


async def ask_in_every_way(ols: Ols, llm: Llm, cluster: Cluster) -> list[str]:  # noqa: F811
    said = []

    async def post(path: str, body: object, token: str = TOKEN) -> int:
        answer = await ols.call("POST", path, body, Authorization=f"Bearer {token}")
        said.append(answer.text)
        return answer.status

    assert await post("/v1/feedback", FEEDBACK) == 200
    assert await post("/v1/query", {"query": "x"}) == 200
    assert await post("/v1/streaming_query", {"query": "x", "media_type": "application/json"}) == 200
    assert await post("/v1/query", {"query": "x"}, "planted-wrong-token") == 403
    llm.script = [answers(401, "no such key: planted-api-key, Bearer planted-api-key")]
    assert await post("/v1/query", {"query": "x"}) == 500
    llm.script = [answers(500, "planted-api-key is busy")] * 3
    assert await post("/v1/query", {"query": "x"}) == 503
    cluster.status = 500
    assert await post("/v1/query", {"query": "x"}) == 503
    said.append((await ols.get("/metrics")).text)
    return said


async def test_no_secret_gets_out(root: Path, tmp_path: Path, llm: Llm, cluster: Cluster):  # noqa: F811
    key, own = tmp_path / "key", tmp_path / "own"
    key.write_text("planted-api-key", encoding="utf-8")
    own.write_text("planted-service-account", encoding="utf-8")
    cluster.users = {TOKEN: {"username": "planted-user-name", "uid": "uid-7"}}
    cluster.allowed = {"planted-user-name"}
    async with open_process(
        root,
        config=CONFIG.format(url=llm.url, key=key),
        HEADRACE_LOG_LEVEL="DEBUG",
        OLS_K8S_API=cluster.url,
        OLS_K8S_TOKEN_FILE=str(own),
    ) as (ols, process):
        said = await ask_in_every_way(ols, llm, cluster)
    files = [path.read_text() for kind in ("", "feedback") for path in ols.files(kind)]
    (captured,) = ols.records("config")
    (status,) = ols.records("config_status")
    output = process.log.read_text(encoding="utf-8")
    assert '"event":"no_answer"' in output
    assert len(files) == 6
    for where in (output, *said, *files):
        assert "planted" not in where, where
    assert llm.authorizations[0] == "Bearer planted-api-key"
    assert {record["user_id"] for record in ols.records("feedback")} == {"uid-7"}
    assert list(captured["metadata"]) == ["timestamp", "service_version", "config_file_path", "backend"]
    assert captured["metadata"]["config_file_path"] == str(root.parent / "olsconfig.yaml")
    assert captured["metadata"]["backend"] == "lightspeed-service"
    text = captured["configuration"]
    for kept in (
        "# where it is",
        "password_path: /run/secrets/pg",
        f"credentials_path: {key}",
        "generation_timeout: 5",
    ):
        assert kept in text
    assert "cp_offline_token: REDACTED" in text
    assert status["mcp_servers"] == {"kube": "https"}
    assert status["models"] == {"first": ["m"]}


async def test_the_configuration_is_indented_and_as_it_was(root: Path):
    config = "ols_config:\n  # theirs\n  user_data_collection: {config_disabled: false, config_storage: ROOT/config}\n"
    async with open_ols(root, config=config) as ols:
        (path,) = ols.files("config")
        assert path.read_text().startswith('{\n  "metadata": {\n    "timestamp": "')
        assert json.loads(path.read_bytes())["configuration"] == config.replace("ROOT", str(root))
        assert ols.files("config_status") == []
