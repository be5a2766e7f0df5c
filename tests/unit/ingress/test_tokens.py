"""INGRESS_TOKENS: a row that could never be meant fails at start, and no error shows what stands in it."""

import json
from typing import Any

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import load
from headrace_services.ingress.settings import IngressSettings

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "table",
    [
        {"a-token-itself": {"org_id": "1001"}},
        {DIGEST[:-1]: {"org_id": "1001"}},
        {DIGEST + "\n": {"org_id": "1001"}},
        {DIGEST: {}},
        {DIGEST: {"org_id": 1001}},
        {DIGEST: {"org_id": ""}},
        {DIGEST: {"org_id": " 1001"}},
        {DIGEST: {"org_id": "1001\n"}},
        {DIGEST: {"org_id": "\uff11\uff10\uff10\uff11"}},
        {DIGEST: {"org_id": "1001", "account_number": "1 "}},
        {DIGEST: {"org_id": "1001", "cluster": ["a"]}},
        {DIGEST: {"org_id": "1001", "clusters": "a"}},
        {DIGEST: {"org_id": "1001", "clusters": [" a"]}},
    ],
)
def test_a_row_that_means_nobody_fails_at_start_and_is_not_shown(
    table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("INGRESS_TOKENS", json.dumps(table))
    with pytest.raises(ConfigurationError, match="INGRESS_TOKENS") as error:
        load(IngressSettings)
    assert "token-itself" not in str(error.value)
    assert DIGEST[:-1] not in str(error.value)


def test_a_digest_may_be_written_in_either_case(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("INGRESS_TOKENS", json.dumps({DIGEST.upper(): {"org_id": "1001", "clusters": ["a"]}}))
    (digest,) = load(IngressSettings).tokens
    assert digest == DIGEST
