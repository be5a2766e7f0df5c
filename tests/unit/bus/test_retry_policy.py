from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from headrace.runtime.retries import RetryPolicy

DRAWS = st.floats(0, 1, exclude_max=True)
POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 8),
    budget_seconds=st.floats(0, 60),
    base_seconds=st.floats(0.001, 5),
    cap_seconds=st.floats(0.001, 20),
)


class OneMessageFailing(RuleBasedStateMachine):
    """A clock that only the policy moves."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = RetryPolicy()
        self.failures = 0
        self.waited_seconds = 0.0
        self.given_up = False

    @rule(draw=DRAWS)
    def fail(self, draw: float) -> None:
        if self.given_up:
            return
        self.failures += 1
        delay = self.policy.next_delay_seconds(self.failures, self.waited_seconds, draw)
        if delay is None:
            self.given_up = True
        else:
            self.waited_seconds += delay

    @invariant()
    def stays_in_the_budget(self) -> None:
        assert self.failures <= self.policy.attempts
        assert self.waited_seconds <= self.policy.budget_seconds

    @invariant()
    def gives_up_no_earlier_than_it_must(self) -> None:
        assert not self.given_up or self.failures == self.policy.attempts


TestRetryPolicy = OneMessageFailing.TestCase


@given(policy=POLICIES, draw=DRAWS, attempt=st.integers(1, 10_000))
def test_a_hold_never_waits_longer_than_the_cap(policy: RetryPolicy, draw: float, attempt: int):
    assert 0 <= policy.hold_seconds(attempt, draw) <= policy.cap_seconds


@given(policy=POLICIES, draw=DRAWS)
def test_any_policy_ends(policy: RetryPolicy, draw: float):
    waited, failures = 0.0, 1
    while (delay := policy.next_delay_seconds(failures, waited, draw)) is not None:
        waited, failures = waited + delay, failures + 1
    assert failures <= policy.attempts
    assert waited <= policy.budget_seconds


def test_jitter_spreads_over_the_whole_delay():
    delays = {RetryPolicy().next_delay_seconds(1, 0.0) for _ in range(50)}
    assert len(delays) > 40
