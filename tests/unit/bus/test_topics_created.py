"""What a broker's answer to a new topic means."""

import pytest

from headrace.bus.admin import was_created
from headrace.runtime.errors import ConfigurationError, Retryable

INVALID_REPLICATION_FACTOR = 38
FENCED = "Unable to replicate the partition 1 time(s): All brokers are currently fenced."
FEW = "The target replication factor of 3 cannot be reached because only 1 broker(s) are registered."


def test_a_topic_is_new_or_was_there():
    assert was_created("t", 0)
    assert not was_created("t", 36, "Topic 't' already exists.")


def test_a_broker_that_is_fenced_for_seconds_is_waited_for():
    with pytest.raises(Retryable, match=r"topic t: .* fenced"):
        was_created("t", INVALID_REPLICATION_FACTOR, FENCED)


def test_more_replicas_than_brokers_are_a_setting_that_is_wrong():
    with pytest.raises(ConfigurationError, match=r"topic t: .* only 1 broker"):
        was_created("t", INVALID_REPLICATION_FACTOR, FEW)
