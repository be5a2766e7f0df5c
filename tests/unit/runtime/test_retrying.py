import pytest

from headrace.runtime.answers import retry_after_seconds
from headrace.runtime.errors import (
    ConfigurationError,
    Fatal,
    HeadraceError,
    Permanent,
    Poison,
    Rejected,
    Retryable,
)
from headrace.runtime.health import Health
from headrace.runtime.retries import RetryPolicy, retrying
from headrace.runtime.settings import EngineSettings, Settings, env, environment_name, load

QUICK = RetryPolicy(attempts=3, budget_seconds=1.0, base_seconds=0.0)


class Flaky:
    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


async def test_a_retryable_failure_is_tried_again():
    flaky = Flaky(Retryable(), Retryable())
    assert await retrying(QUICK, flaky) == "done"
    assert flaky.calls == 3


async def test_attempts_are_bounded():
    flaky = Flaky(*[Retryable("away")] * 9)
    with pytest.raises(Retryable, match="away"):
        await retrying(QUICK, flaky)
    assert flaky.calls == 3


async def test_the_budget_bounds_waiting():
    flaky = Flaky(*[Retryable()] * 9)
    with pytest.raises(Retryable):
        await retrying(RetryPolicy(attempts=99, budget_seconds=0.0, base_seconds=5.0), flaky)
    assert flaky.calls == 1


@pytest.mark.parametrize("error", [Permanent(), Poison(), Fatal(), ValueError()])
async def test_what_cannot_be_helped_is_not_tried_again(error: Exception):
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        await retrying(QUICK, flaky)
    assert flaky.calls == 1


def test_the_tree_answers_what_to_do_now():
    assert issubclass(Poison, Permanent)
    assert issubclass(Rejected, Permanent)
    assert issubclass(ConfigurationError, Fatal)
    assert all(issubclass(kind, HeadraceError) for kind in (Retryable, Permanent, Fatal))
    assert not issubclass(Retryable, Permanent)


def test_health_lists_only_what_is_not_well():
    health = Health()
    health.add("kafka", lambda: None)
    health.add("s3", lambda: "does not answer")
    assert health.report() == {"kafka": None, "s3": "does not answer"}
    assert health.problems == {"s3": "does not answer"}


class Sample(Settings):
    count: int = env("SAMPLE_COUNT", 3, "how many", gt=0)


def test_a_setting_comes_from_its_variable_and_an_empty_one_counts_as_unset(monkeypatch):
    monkeypatch.setenv("SAMPLE_COUNT", "7")
    assert load(Sample).count == 7
    monkeypatch.setenv("SAMPLE_COUNT", "")
    assert load(Sample).count == 3
    assert environment_name(Sample, "count") == "SAMPLE_COUNT"


def test_a_wrong_setting_is_named_with_what_was_got(monkeypatch):
    monkeypatch.setenv("SAMPLE_COUNT", "-1")
    with pytest.raises(ConfigurationError, match=r"SAMPLE_COUNT: .*greater than 0.*got '-1'"):
        load(Sample)


def test_secrets_do_not_show_in_settings():
    shown = repr(
        EngineSettings(s3_secret_key="geheim", kafka_password="geheim", postgres="postgresql://a:geheim@h/d")
    )
    assert "geheim" not in shown


def test_a_retry_after_is_seconds_or_a_date():
    assert retry_after_seconds("7") == 7.0
    assert retry_after_seconds(None) == retry_after_seconds("soon") == retry_after_seconds("-1") == 0.0
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after_seconds("Wed, 21 Oct 2065 07:28:00 GMT") > 1e9


def test_who_asks_for_time_gets_it_within_the_budget():
    policy = RetryPolicy(attempts=3, budget_seconds=10.0, base_seconds=0.0)
    assert policy.wait_seconds(Retryable(retry_after_seconds=4.0), 1, 5.0) == 4.0
    assert policy.wait_seconds(Retryable(), 1, 5.0) == 0.0
    assert policy.wait_seconds(Retryable(retry_after_seconds=6.0), 1, 5.0) is None
    assert policy.wait_seconds(Retryable(retry_after_seconds=1.0), 3, 0.0) is None
