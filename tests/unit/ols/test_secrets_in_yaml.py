"""Secrets go, everything else of a configuration's text stays as it was."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_services.ols.secrets_in_yaml import is_secret, redact_yaml

TEXT = """\
# a comment: kept
user_data_collector_config:
  data_storage: "some/path"   # kept too
  cp_offline_token: fake_token
  ingress_env: stage
  access_token_generation_timeout: 5
"""


def test_only_the_token_of_the_documents_snippet_goes():
    assert redact_yaml(TEXT) == TEXT.replace("fake_token", "REDACTED")


@pytest.mark.parametrize(
    "text",
    [
        "password: SECRET",
        "password: 'SECRET'",
        'password: "SECRET"',
        "password: 12345678",
        "{a: 1, apiKey: SECRET}",
        "api_key: |\n  SECRET\n  more of it\nnext: 1",
        "api-key: >-\n  SECRET\nnext: 1",
        "tokens: [SECRET, 'SECRET']",
        "tokens:\n- SECRET\n- SECRET\nnext: 1",
        "secret: {user: SECRET, deep: {er: SECRET}}",
        "a: &x SECRET\nclientSecret: *x",
        "password: &x SECRET\nuser: *x",
        "password: !!str SECRET",
        "headers: {Authorization: Basic SECRET}",
        "env:\n- name: OPENAI_API_KEY\n  value: SECRET\n- {name: COLOUR, value: red}",
        "# cp_offline_token: SECRET",
        "a: 1 # was: password: SECRET",
        "a: 1\n#   - token = 'SECRET'\nb: 2",
        "url: https://SECRET:SECRET@host/path",
        "args: [--access-token=SECRET, --verbose=1]",
        "dsn: host=x password=SECRET",
        "connection: host=x password=SECRET user=me",
        "note: eyJhbGciOiJSUzI1NiJ9.SECRETSECRET.SECRET_SECRET",
        "note: Bearer SECRETSECRET",
        "note: sk-SECRETSECRETSECRETSECRET",
        "note: |\n  -----BEGIN RSA PRIVATE KEY-----\n  SECRET\n  -----END RSA PRIVATE KEY-----\nnext: 1",
        "note: x SECRET x",
    ],
)
def test_no_secret_stays_and_the_text_stays_yaml(text):
    known = ["x SECRET x"] if "x SECRET x" in text else []
    redacted = redact_yaml(text, known)
    assert "SECRET" not in redacted
    assert "12345678" not in redacted
    before, after = yaml.safe_load(text), yaml.safe_load(redacted)
    assert type(before) is type(after)
    if isinstance(before, dict):
        assert before.keys() == after.keys()
        assert before.get("next") == after.get("next")


@pytest.mark.parametrize(
    "text",
    [
        "credentials_path: /run/secrets/key",
        "tls_config: {tls_key_path: /etc/tls/key, tls_key_password_path: /etc/tls/password}",
        "max_tokens_for_response: 4096",
        "enable_token_history: true",
        "access_token_generation_timeout: 5",
        "skip_tls_verification: false\nauthentication_config: {module: k8s}",
        "query_filters:\n- name: keys\n  pattern: 'key=\\w+'\n  replace_with: '<key>'\n",
        "a: 1 # the token is elsewhere\n",
        'note: "# not a comment"\r\nb: 2\r\n',
        "\ufeffa: ä # ö\n",
        "url: https://host:8443/path@x",
        "token:\npassword: null",
        "",
        "# nothing",
    ],
)
def test_what_is_no_secret_stays_to_the_letter(text):
    assert redact_yaml(text) == text


@pytest.mark.parametrize(
    "key", ["token", "API_KEY", "apiKey", "dbPassword", "x-auth-token", "secretKeyRef", "pwd"]
)
def test_keys_of_secrets(key):
    assert is_secret(key)


@pytest.mark.parametrize("key", ["key", "name", "monkey", "author", "path", "token_file", "passwordPath", ""])
def test_keys_of_other_things(key):
    assert not is_secret(key)


KEYS = st.sampled_from(["a", "name", "value", "token", "password", "api_key", "models", "url", "items"])
VALUES = st.one_of(st.text(max_size=20), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False))
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(VALUES, lambda item: st.lists(item, max_size=3) | st.dictionaries(KEYS, item, max_size=3)),
    max_size=5,
)


@settings(max_examples=50)
@given(DOCUMENTS, st.booleans())
def test_any_document_keeps_its_shape_and_loses_its_passwords(document, flow):
    document["password"] = "pl4nted-\u00e4 : #x"
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True)
    redacted = redact_yaml(text)
    assert "pl4nted" not in redacted
    found = yaml.safe_load(redacted)
    assert found["password"] == "REDACTED"
    assert list(found) == list(yaml.safe_load(text))
    assert redact_yaml(redacted) == redacted
