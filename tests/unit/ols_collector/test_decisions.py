"""What is tried again, and when; what may be shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runtime.answers import is_transient
from headrace.runtime.errors import Retryable
from headrace_services.ols_collector.client import Refused
from headrace_services.ols_collector.credentials import NoCredentials, auth_of
from headrace_services.ols_collector.handlers import policy_of
from headrace_services.ols_collector.scrubbing import Scrubber, shown
from tests.unit.ols_collector.data import plan


@pytest.mark.parametrize(
    ("status", "again"),
    [(200, False), (301, False), (400, False), (401, False), (403, False), (404, False), (408, True), (413, False),
     (415, False), (422, False), (429, True), (500, True), (502, True), (503, True), (504, True)],
)  # fmt: skip
def test_only_busy_and_broken_are_tried_again(status, again):
    assert is_transient(status) is again


@pytest.mark.parametrize(
    ("status", "ends"), [(400, False), (413, False), (415, False), (401, True), (403, True)]
)
def test_a_refusal_of_the_sender_ends_the_cycle(status, ends):
    assert Refused("", status).concerns_the_sender is ends


@pytest.mark.parametrize(("attempt", "most"), [(1, 120), (2, 240), (9, 480)])
def test_the_wait_is_drawn_below_the_document_s(tmp_path, attempt, most):
    policy = policy_of(plan(tmp_path, ingress_base_delay=60.0, ingress_max_retries=10))
    delays = [policy.wait_seconds(Retryable(""), attempt, 0.0) for _ in range(200)]
    assert all(0 <= delay <= most for delay in delays)
    assert max(delays) - min(delays) > most / 4


def test_there_is_no_wait_after_the_last_attempt(tmp_path):
    assert policy_of(plan(tmp_path, ingress_max_retries=3)).wait_seconds(Retryable(""), 3, 0.0) is None


@given(asked=st.floats(0, 2000), waited=st.floats(0, 2000))
def test_retry_after_is_honoured_within_the_budget(asked, waited):
    policy = policy_of(plan(Path("/d"), ingress_base_delay=1.0))
    found = policy.wait_seconds(Retryable("", retry_after_seconds=asked), 1, waited)
    if found is None:
        assert waited + max(asked, 2.0) > 900
    else:
        assert asked <= found
        assert waited + found <= 900


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"auths": 1},
        {"auths": {"cloud.openshift.com": {}}},
        {"auths": {"quay.io": {"auth": "x"}}},
    ],
)
def test_a_pull_secret_without_the_entry_is_an_opt_out(document):
    with pytest.raises(NoCredentials, match="pull secret not found"):
        auth_of(document)


def test_the_auth_is_sent_as_it_stands():
    assert auth_of({"auths": {"cloud.openshift.com": {"auth": "dXNlcjpwYXNz"}}}) == "dXNlcjpwYXNz"


def test_what_others_say_is_shown_without_secrets():
    scrubber = Scrubber()
    scrubber.learn("s3cret-token", "short")
    text = scrubber.clean("you sent\nBearer abcdef.ghi and s3cret-token; short")
    assert text == "you sent Bearer *** and ***; short"
    assert len(scrubber.clean("x" * 1000)) == 300


def test_a_name_cannot_write_lines_of_its_own():
    assert shown("a\n[x] INFO: b") == "a\\n[x] INFO: b"
    assert shown("plain/é") == "plain/é"
