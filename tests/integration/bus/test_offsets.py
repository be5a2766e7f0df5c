from collections.abc import Callable

import pytest

from headrace.bus.offsets import GroupPartition, OffsetReader, rates
from headrace.runtime.errors import Retryable
from headrace.runtime.settings import EngineSettings
from tests.integration.bus.flow import Flow, Note
from tests.waiting import eventually


async def test_the_lag_of_a_group_is_what_it_has_not_committed(flow: Flow, fresh: Callable[[str], str]):
    never, missing = fresh("never"), fresh("missing")
    asked = [(flow.group, flow.topic.name), (never, flow.topic.name), (flow.group, missing)]
    async with OffsetReader(flow.settings) as reader:
        empty = await reader.read(groups=asked)
        assert empty.groups[asked[0]].lag == 0
        assert missing not in empty.topics
        assert asked[2] not in empty.groups

        await flow.send([Note(request_id=f"r{n}", key=f"k{n}", n=n) for n in range(12)])
        before = await reader.read(groups=asked)
        group = before.groups[asked[0]]
        assert (group.lag, group.committed, before.topics[flow.topic.name].records) == (12, False, 12)
        assert rates(empty, before)[flow.topic.name] > 0

        async with flow.running(flow.consumer()):
            await eventually(lambda: flow.counted("processed") == 12)
        after = await reader.read(groups=asked, topics=[flow.topic.dead_letters])
        assert (after.groups[asked[0]].lag, after.groups[asked[0]].committed) == (0, True)
        assert (after.groups[asked[1]].lag, after.groups[asked[1]].committed) == (12, False)
        assert after.topics[flow.topic.dead_letters].end == 0
        assert rates(before, after) == {flow.topic.name: 0.0}


@pytest.mark.parametrize(
    ("start", "end", "committed", "lag"),
    [(3, 5, None, 2), (3, 5, 0, 2), (3, 5, 4, 1), (3, 5, 5, 0), (0, 5, 7, 0), (0, 0, None, 0)],
)
def test_what_is_deleted_does_not_wait_any_more(start: int, end: int, committed: int | None, lag: int):
    assert GroupPartition(0, start, end, committed).lag == lag


async def test_kafka_that_is_away_is_said_to_be():
    with pytest.raises(Retryable, match=r"127\.0\.0\.1:1"):
        async with OffsetReader(EngineSettings(kafka="127.0.0.1:1")):
            pass
