import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_services.assisted_events.credentials import BadCredentials, OptedOut, choose, parse

REGISTRY = "cloud.openshift.com"


def auth(user: str = "jdoe", password: str = "s3cret") -> str:  # noqa: S107
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def secret(*, registry: str = REGISTRY, **entry: str) -> str:
    return json.dumps({"auths": {registry: entry}})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no json", "pull secret must be a well-formed JSON"),
        ("[]", "pull secret must be a well-formed JSON"),
        ('{"auths": {"a": "b"}}', "pull secret must be a well-formed JSON"),
        ('{"auths": {"a": {"auth": 1}}}', "pull secret must be a well-formed JSON"),
        ("{}", "pull secret must contain 'auths' JSON-object field"),
        ('{"auths": {}}', "pull secret must contain 'auths' JSON-object field"),
        ('{"auths": []}', "pull secret must contain 'auths' JSON-object field"),
        (
            secret(auth="!!"),
            "invalid pull secret: 'auth' field of \"cloud.openshift.com\" is not base64-encoded",
        ),
        (
            secret(auth=base64.b64encode(b"jdoe").decode()),
            "invalid pull secret: 'auth' for cloud.openshift.com is not in 'user:password' format",
        ),
    ],
)
def test_a_pull_secret_that_cannot_be_used_is_told_in_upstreams_words(text: str, reason: str) -> None:
    with pytest.raises(BadCredentials) as raised:
        parse(text)
    assert str(raised.value) == reason


def test_one_bad_entry_fails_the_whole_secret() -> None:
    with pytest.raises(BadCredentials, match=r"quay\.io is not in"):
        parse(json.dumps({"auths": {REGISTRY: {"auth": auth()}, "quay.io": {"auth": auth()[:4] + "Kg=="}}}))


@pytest.mark.parametrize("entry", [{}, {"auth": ""}, {"auth": None, "email": "a@b.c"}])
def test_weak_point_an_empty_auth_does_not_fail_the_whole_secret(entry: dict[str, str]) -> None:
    entries = parse(json.dumps({"auths": {"quay.io": entry, REGISTRY: {"auth": auth()}}}))
    assert entries["quay.io"].auth == ""
    assert entries[REGISTRY].username == "jdoe"


def test_the_password_may_hold_colons() -> None:
    assert parse(secret(auth=auth("jdoe", "a:b:c")))[REGISTRY].username == "jdoe"


def test_the_managements_token_is_used_before_the_workloads() -> None:
    both = choose(secret(auth=auth("m")), secret(auth=auth("w")))
    assert both.token == auth("m")
    assert choose("", secret(auth=auth("w"))).token == auth("w")
    assert choose(secret(auth=auth("m")), "").token == auth("m")


def test_the_identity_is_that_of_the_source_which_says_more_and_on_a_tie_the_workloads() -> None:
    full = secret(auth=auth("m"), email="m@example.com")
    assert choose(full, secret(auth=auth("w"))).identity.username == "m"
    assert choose(full, secret(auth=auth("w"), email="w@example.org")).identity.username == "w"
    assert choose(full, secret(auth=auth("w"), email="w@example.org")).identity.email_domain == "example.org"
    assert choose(secret(auth=auth("m")), "").identity.email_domain == ""


@pytest.mark.parametrize(
    ("management", "workload", "kind", "reason"),
    [
        ("", "", OptedOut, "management pull secret: there is none; workload pull secret: there is none"),
        (
            secret(registry="quay.io", auth=auth()),
            "",
            OptedOut,
            "management pull secret: no entry for cloud.openshift.com",
        ),
        (
            secret(registry="quay.io", auth=auth()),
            secret(auth=auth()),
            OptedOut,
            "management pull secret: no entry for cloud.openshift.com",
        ),
        (
            secret(email="m@example.com"),
            secret(auth=auth()),
            OptedOut,
            "management pull secret: the entry for cloud.openshift.com has no token",
        ),
        (
            secret(auth=auth()),
            '{"auths": {}}',
            OptedOut,
            "workload pull secret: no entry for cloud.openshift.com",
        ),
        (
            "{",
            secret(auth=auth()),
            BadCredentials,
            "management pull secret: pull secret must be a well-formed JSON",
        ),
    ],
)
def test_a_secret_that_does_not_consent_is_named_and_no_other_takes_its_place(
    management: str, workload: str, kind: type[BadCredentials], reason: str
) -> None:
    with pytest.raises(BadCredentials) as raised:
        choose(management, workload)
    assert type(raised.value) is kind
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"auths": {}, "auths": {"cloud.openshift.com": {"auth": "%s"}}}',
        '{"auths": {"cloud.openshift.com": {"auth": "%s"}}, "auths": {}}',
        '{"auths": {"cloud.openshift.com": {"auth": ""}, "cloud.openshift.com": {"auth": "%s"}}}',
        '{"auths": {"cloud.openshift.com": {"auth": "", "auth": "%s"}}}',
    ],
)
def test_a_secret_that_opts_out_in_one_of_two_readings_sends_nothing(text: str) -> None:
    for management, workload in ((text % auth(), secret(auth=auth())), (secret(auth=auth()), text % auth())):
        with pytest.raises(BadCredentials, match="names a key twice"):
            choose(management, workload)


@pytest.mark.parametrize("pair", [("", ""), ("jdoe", ""), ("jdoe", " ")])
def test_an_entry_with_a_user_and_no_password_has_no_token(pair: tuple[str, str]) -> None:
    with pytest.raises(OptedOut, match="has no token"):
        choose(secret(auth=auth(*pair)), secret(auth=auth()))


@pytest.mark.parametrize("management", [secret(registry="quay.io", auth=auth()), "{", "", secret(auth="")])
def test_with_either_one_secret_that_consents_is_enough(management: str) -> None:
    assert choose(management, secret(auth=auth("w")), either=True).token == auth("w")
    assert choose(secret(auth=auth("w")), management, either=True).token == auth("w")
    with pytest.raises(
        BadCredentials, match=r"management pull secret: .*; workload pull secret: there is none"
    ):
        choose(management, "", either=True)


@given(st.text(), st.text())
def test_no_text_of_a_secret_is_in_a_reason(management: str, workload: str) -> None:
    planted = "PLANTED"
    entry = {"auth": planted, "email": workload + planted}
    with pytest.raises(BadCredentials) as raised:
        choose(management + planted, json.dumps({"auths": {"r": entry}}))
    assert planted not in str(raised.value)


def test_credentials_do_not_show_themselves() -> None:
    assert "jdoe" not in repr(choose("", secret(auth=auth())))
