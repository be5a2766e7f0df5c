import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from multidict import CIMultiDict

from headrace.contracts.identity import IdentityError, decode_identity
from headrace_services.ingress.callers import (
    OPERATORS,
    BadCredentials,
    Identities,
    Sender,
    Unauthenticated,
    cluster_of,
)
from tests.integration.ingress.harness import CLUSTER_ID, IDENTITY, OPERATOR, b64_identity

TOKENS = {hashlib.sha256(b"pull-secret").hexdigest(): {"org_id": "42", "account_number": "4242"}}


def sender(
    *,
    required: bool = True,
    lenient: bool = False,
    default_org_id: str = "",
    tokens: Mapping[str, Mapping[str, Any]] = TOKENS,
    **headers: str,
) -> Sender:
    identities = Identities(required=required, lenient=lenient, tokens=tokens, default_org_id=default_org_id)
    return identities.sender(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))


def test_the_gateways_header_is_the_identity_and_goes_on_verbatim():
    found = sender(x_rh_identity=IDENTITY)
    assert (found.identity.org_id, found.b64_identity) == ("000001", IDENTITY)


def test_the_gateways_header_counts_before_a_token():
    found = sender(x_rh_identity=IDENTITY, authorization="Bearer nobodys", user_agent=OPERATOR)
    assert found.identity.org_id == "000001"


def test_neither_header_nor_token_is_refused_with_upstreams_text():
    with pytest.raises(IdentityError, match=r"^missing x-rh-identity header$"):
        sender()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Basic", "BEARER "])
def test_a_token_of_the_table_makes_a_system_identity(scheme: str):
    found = sender(authorization=f"{scheme} pull-secret", user_agent=OPERATOR)
    identity = decode_identity(found.b64_identity)
    assert identity == found.identity
    assert (identity.org_id, identity.internal.org_id, identity.account_number) == ("42", "42", "4242")
    assert (identity.type, identity.cluster_id) == ("System", CLUSTER_ID)


@pytest.mark.parametrize("cluster_id", [CLUSTER_ID, CLUSTER_ID.upper(), CLUSTER_ID.replace("-", "")])
def test_a_token_with_clusters_sends_for_these(cluster_id: str):
    tokens = {digest: row | {"clusters": ["other", cluster_id]} for digest, row in TOKENS.items()}
    found = sender(tokens=tokens, authorization="Bearer pull-secret", user_agent=OPERATOR)
    assert (found.identity.org_id, found.identity.cluster_id) == ("42", CLUSTER_ID)


@pytest.mark.parametrize("clusters", [[], ["other"], [CLUSTER_ID[:-1]], [f"{CLUSTER_ID} "]])
def test_a_token_with_clusters_is_nobodys_from_another(clusters: list[str]):
    tokens = {digest: row | {"clusters": clusters} for digest, row in TOKENS.items()}
    with pytest.raises(Unauthenticated, match="not this cluster's"):
        sender(tokens=tokens, default_org_id="1", authorization="Bearer pull-secret", user_agent=OPERATOR)


def test_an_unknown_token_is_nobodys():
    with pytest.raises(Unauthenticated, match="Could not authenticate"):
        sender(authorization="Bearer other", user_agent=OPERATOR)


def test_an_unknown_token_is_the_default_organisations_where_there_is_one():
    found = sender(authorization="Bearer other", user_agent=OPERATOR, default_org_id="000001")
    assert (found.identity.org_id, found.identity.cluster_id) == ("000001", CLUSTER_ID)
    known = sender(authorization="Bearer pull-secret", user_agent=OPERATOR, default_org_id="000001")
    assert known.identity.org_id == "42"


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Digest x", "pull-secret", " "])
def test_an_authorization_that_holds_no_credential_is_refused(authorization: str):
    with pytest.raises(BadCredentials, match="Invalid authorization header"):
        sender(authorization=authorization, user_agent=OPERATOR)


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operators_user_agent_names_its_cluster(operator: str):
    assert cluster_of(f"{operator}1.2-abc cluster/{CLUSTER_ID}") == CLUSTER_ID
    assert cluster_of(f"{operator} cluster/{CLUSTER_ID}") == CLUSTER_ID


OTHER_AGENTS = [
    "",
    "curl/8.0",
    "Go-http-client/1.1",
    "Go-http-client/2.0",
    "python-requests/2.32.3",
    "python-httpx/0.28.1",
    "Python/3.12 aiohttp/3.12.0",
    "cost-mgmt-operator",
    "insights-operator/1",
    "insights-operator/1 id/x",
    f"other-operator/1 cluster/{CLUSTER_ID}",
]


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
@pytest.mark.parametrize("user_agent", OTHER_AGENTS)
def test_a_sender_without_an_operators_user_agent_is_its_tokens_organisation(user_agent: str, scheme: str):
    found = sender(authorization=f"{scheme} pull-secret", user_agent=user_agent)
    identity = decode_identity(found.b64_identity)
    assert identity == found.identity
    assert (identity.org_id, identity.account_number, identity.type) == ("42", "4242", "User")
    # The archive names the cluster; an identity with one would go before it.
    assert identity.cluster_id == ""
    local = sender(
        authorization=f"{scheme} any", user_agent=user_agent, lenient=True, default_org_id="000001"
    )
    assert (local.identity.org_id, local.identity.cluster_id) == ("000001", "")
    with pytest.raises(Unauthenticated, match="Could not authenticate"):
        sender(authorization=f"{scheme} other", user_agent=user_agent)


@pytest.mark.parametrize(("clusters", "named"), [(["one"], "one"), (["one", "two"], None), ([], None)])
def test_a_token_of_clusters_from_a_sender_that_names_none_is_its_only_clusters(
    clusters: list[str], named: str | None
):
    tokens = {digest: row | {"clusters": clusters} for digest, row in TOKENS.items()}
    if named:
        found = sender(tokens=tokens, authorization="Bearer pull-secret", user_agent="curl/8.0")
        assert (found.identity.type, found.identity.cluster_id) == ("System", named)
        return
    with pytest.raises(Unauthenticated, match="not this cluster's"):
        sender(tokens=tokens, authorization="Bearer pull-secret", user_agent="curl/8.0")


@pytest.mark.parametrize(
    "user_agent",
    [
        "insights-operator/1 cluster/",
        "insights-operator/1 cluster/x y",
        "insights-operator/1 cluster/\udcff",
        "insights-operator/1 cluster/" + "x" * 300,
    ],
)
def test_an_operators_user_agent_whose_cluster_is_none_is_refused(user_agent: str):
    with pytest.raises(BadCredentials, match="Invalid user-agent"):
        sender(authorization="Bearer pull-secret", user_agent=user_agent)


def test_without_auth_nobody_is_asked_and_the_header_goes_on_as_it_is():
    for header in ("", IDENTITY, "no base64"):
        found = sender(required=False, x_rh_identity=header)
        assert (found.identity.org_id, found.identity.account_number) == ("", "")
        assert found.b64_identity == header
    assert sender(required=False, x_rh_identity="\udcff").b64_identity == ""


def test_only_leniency_accepts_an_identity_without_type():
    header = b64_identity(type=None)
    assert sender(lenient=True, x_rh_identity=header).identity.org_id == "000001"
    with pytest.raises(IdentityError, match="is missing type"):
        sender(x_rh_identity=header)
