"""The real consumers die, raise and hang at their fault points: the state is that of a single run."""

import asyncio
import itertools
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from headrace.runtime.faultpoints import MODES, POINTS
from tests.faults.sending import Payload, payloads, send_each
from tests.faults.state import differences, digest_of, rows_of, state_of
from tests.faults.whole import CONSUMERS, Whole
from tests.kafka_proxy import COMMIT, ILLEGAL_GENERATION, REBALANCING, UNKNOWN_MEMBER, KafkaProxy
from tests.waiting import eventually

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("kills"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

# Where a consumer never comes by: the rules engine keeps nothing, the tracker announces nothing, and the aggregator
# stores by one statement, whose end is its handler's.
NOWHERE = {
    ("rules_engine", "after_store"),
    ("payload_tracker", "before_announce"),
    ("results_aggregator", "after_store"),
}
# A passage drawn at random must be one that comes: commits are a second apart, what starts passes a store too.
PASSAGES = {"after_store": (2, 5), "before_announce": (1, 6), "after_effect": (1, 3), "before_commit": (1, 1)}
IDLE_SECONDS = 3.0
TRIES = 12


@dataclass
class Flow:
    """The services, what was sent through them, and what a single run made of it."""

    whole: Whole
    proxy: Any
    single: dict
    prepared: list[Payload]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def flow(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kills")
    async with AsyncExitStack() as closing:
        whole = Whole(directory)
        proxy = await closing.enter_async_context(KafkaProxy.open(f"127.0.0.1:{whole.ports.kafka}"))
        whole.environment |= {"HEADRACE_KAFKA": proxy.address}
        await whole.start(closing)
        prepared = await payloads(directory, 3)
        load = await send_each(whole.url, prepared)
        assert len(load.acknowledged) == len(prepared)
        await whole.all_ended(load)
        await whole.drained()
        yield Flow(whole, proxy, await state_of(whole.settings), prepared)


async def as_single(flow):
    """The state once nobody has anything left to do; an AssertionError says where it is another."""
    await flow.whole.drained()
    found = await state_of(flow.whole.settings)
    lines = differences(flow.single, found)
    assert not lines, "\n".join(lines)
    assert await rows_of(flow.whole.settings.postgres, "payload_tracker", DOUBLED) == []
    return digest_of(found)


# The tracker keeps every status once, however often it comes.
DOUBLED = (
    "select payload_id, service_id, source_id, status_id, date, status_msg from payload_statuses"
    " group by 1, 2, 3, 4, 5, 6 having count(*) > 1"
)


class Torment:
    """One consumer that is started with a fault, until it died of it, again and again."""

    def __init__(self, whole, name):
        self.whole, self.name = whole, name
        self.kills = 0
        self.idle_kills = 0

    async def suffer(self, draw_faults):
        """Start armed until the kill among the faults, drawn anew each time, was reached."""
        process = self.whole.services[self.name]
        for _ in range(TRIES):
            faults = draw_faults()
            before = self.whole.fault_log(self.name)
            await self.whole.spawn(self.name, faults)
            died = await self._dies_or_idles(process)
            await self.whole.kill_and_bury(self.name)
            if died and ":kill:" in "".join(self.whole.fault_log(self.name)[len(before) :]):
                self.kills += 1
                return
            self.idle_kills += 1
            await self.whole.rewind(self.name)
        raise AssertionError(f"{self.name} never reached {faults}; its log is {process.log}")

    async def _dies_or_idles(self, process):
        """Whether it died by itself, rather than having nothing left to do for a while."""
        ended = asyncio.create_task(process.process.wait())
        try:
            while True:
                done, _ = await asyncio.wait([ended], timeout=IDLE_SECONDS)
                if done:
                    return True
                whole = self.whole
                idle = await process.is_ready() and await whole.lag(self.name) == 0
                if idle and await whole.has_work(self.name):
                    return False
        finally:
            ended.cancel()


def applicable():
    return {
        (name, point, mode)
        for name in CONSUMERS
        for point in POINTS
        for mode in MODES
        if (name, point) not in NOWHERE
    }


def reached(whole):
    """Which of them the logs show."""
    return {
        (name, *fault.split(":")[:2]) for name in CONSUMERS for fault in whole.fault_log(name)
    } & applicable()


def every_fault(name, hang_seconds):
    """A kill at each point, the others raising and hanging on the way to it."""
    points = [point for point in POINTS if (name, point) not in NOWHERE]
    for killing in points:
        milder = [
            f"{point}:raise:{PASSAGES[point][0]} {point}:hang:{PASSAGES[point][0] + 1}:{hang_seconds}"
            for point in points
            if point != killing
        ]
        yield " ".join([*milder, f"{killing}:kill:{PASSAGES[killing][0] + (killing != 'before_commit')}"])


def milder(missed, hang_seconds):
    """What a kill came before: each at the first passages of its point."""
    following = {point: itertools.count(low) for point, (low, _) in PASSAGES.items()}
    return " ".join(
        f"{point}:{mode}:{next(following[point])}" + (f":{hang_seconds}" if mode == "hang" else "")
        for _, point, mode in sorted(missed)
    )


def random_fault(name, draw):
    point = draw.choice([point for point in POINTS if (name, point) not in NOWHERE])
    return f"{point}:kill:{draw.randint(*PASSAGES[point])}"


@pytest.mark.full
@pytest.mark.row(20)
async def test_consumers_killed_at_random_points_leave_the_state_of_a_single_run(flow, row):
    whole, draw = flow.whole, random.Random(20)
    await whole.empty()
    torments = [Torment(whole, name) for name in CONSUMERS]

    async def torment(one):
        for _ in range(row["kills"]):
            await one.suffer(lambda: random_fault(one.name, draw))
        await whole.restart(one.name)

    await asyncio.gather(*(torment(one) for one in torments))
    row.record(
        kills={one.name: one.kills for one in torments},
        restarts_for_another_round=sum(one.idle_kills for one in torments),
        state=await as_single(flow),
        state_of_the_single_run=digest_of(flow.single),
    )


@pytest.mark.row(20)
async def test_every_fault_at_every_point_of_every_consumer_leaves_the_state_of_a_single_run(flow, row):
    whole = flow.whole
    await whole.empty()
    hang_seconds = 20 if row.full else 1.5

    async def torment(name):
        one = Torment(whole, name)
        for faults in every_fault(name, hang_seconds):
            await one.suffer(lambda faults=faults: faults)
        await whole.restart(name)

    await asyncio.gather(*(torment(name) for name in CONSUMERS))
    state = await as_single(flow)
    uploads = await reach_the_rest(flow, hang_seconds)
    row.record(
        points_and_modes_reached=f"{len(reached(whole))} of {len(applicable())}"
        f" ({len(CONSUMERS)} services, {len(POINTS)} points, {len(MODES)} modes;"
        f" nowhere: {', '.join('/'.join(pair) for pair in sorted(NOWHERE))})",
        uploads_for_what_kills_came_before=uploads,
        state=state,
    )
    assert applicable() - reached(whole) == set()


async def reach_the_rest(flow, hang_seconds):
    """Raise and hang where a kill came before, on uploads of their own; how many it took until all was reached."""
    whole, uploads = flow.whole, 0
    for number in range(TRIES):
        missed = applicable() - reached(whole)
        if not missed:
            break
        for name in CONSUMERS:
            await whole.restart(name, milder({each for each in missed if each[0] == name}, hang_seconds))
        # Of clusters nobody knows: what has been stored once is not stored again.
        load = await send_each(whole.url, await payloads(whole.directory, 1, first=100 + number))
        uploads += len(load.acknowledged)
        await whole.all_ended(load)
        assert (await whole.verdict(load, among_others=True)).broken == []
        await whole.drained()
    for name in CONSUMERS:
        await whole.restart(name)
    # Whatever runs after it is compared with a state that has these uploads too.
    await whole.drained()
    flow.single = await state_of(whole.settings)
    return uploads


@pytest.mark.row(19)
async def test_effects_whose_commits_are_refused_repeat_harmlessly(flow, row):
    whole, proxy = flow.whole, flow.proxy
    await whole.empty()
    codes = [UNKNOWN_MEMBER, ILLEGAL_GENERATION, REBALANCING] * row["refusals"]
    proxy.injected.clear()
    proxy.errors[COMMIT].extend(codes)
    await asyncio.gather(*(whole.services[name].start() for name in CONSUMERS))

    async def refused():
        if not proxy.errors[COMMIT]:
            return True
        # Nothing left to commit before all were refused: the same once more.
        if not any([await whole.lag(name) for name in CONSUMERS]):
            for name in ("archiver", "results_aggregator"):
                await whole.kill_and_bury(name)
                await whole.rewind(name)
                await whole.services[name].start()
        return False

    await eventually(refused, within_seconds=60 + 10 * len(codes), every_seconds=0.5)
    row.record(
        refused={f"error {code}": proxy.injected[COMMIT, code] for code in sorted(set(codes))},
        state=await as_single(flow),
    )


@pytest.mark.row(14)
async def test_every_message_again_and_the_whole_topics_replayed_change_nothing(flow, row):
    whole = flow.whole
    whole.origins.clear()
    deliveries = 0
    for number in range(row["replays"]):
        if number == 0:
            deliveries += await repeat_every_message(whole, row["copies"])
        for name in CONSUMERS:
            await whole.kill_and_bury(name)
            await whole.rewind(name)
        deliveries += sum([await whole.lag(name) for name in CONSUMERS])
        await asyncio.gather(*(whole.services[name].start() for name in CONSUMERS))
        await whole.drained()
    row.record(replays=row["replays"], messages_delivered_again=deliveries, state=await as_single(flow))


async def repeat_every_message(whole, copies):
    """Send each record of the consumed topics again, 1 to `copies` times; how many were sent."""
    from aiokafka import AIOKafkaProducer

    from headrace.bus.producer import MAX_REQUEST_BYTES
    from tests.integration.bus.flow import Flow as BusFlow

    topics = sorted({each.topic.name for name in CONSUMERS for each in whole.consumptions(name)})
    reading = BusFlow(whole.settings, None, None, "", "")
    producer = AIOKafkaProducer(bootstrap_servers=whole.settings.kafka, max_request_size=MAX_REQUEST_BYTES)
    draw, sent = random.Random(14), 0
    await producer.start()
    try:
        for topic in topics:
            for record in await reading.records(topic):
                for _ in range(draw.randint(1, copies)):
                    await producer.send(topic, record.value, key=record.key, headers=list(record.headers))
                    sent += 1
        await producer.flush()
    finally:
        await producer.stop()
    return sent


@pytest.mark.row(1)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", ["after_store", "before_announce"])
async def test_an_upload_whose_ingress_fails_at_a_point_is_accepted_once_in_the_end(flow, row, point, mode):
    whole, payload = flow.whole, next(payload for payload in flow.prepared if payload.kind == "ols")
    service = whole.services["ingress"]
    await service.kill()
    await whole.spawn("ingress", f"{point}:{mode}:1" + (":60" if mode == "hang" else ""))
    await eventually(service.is_ready, within_seconds=60)
    before = len(whole.fault_log("ingress"))
    began = asyncio.get_running_loop().time()
    uploading = asyncio.create_task(send_each(whole.url, [payload], senders=1, tries=1000))
    await eventually(lambda: len(whole.fault_log("ingress")) > before, within_seconds=60)
    if mode == "kill":
        await service.process.wait()
        await whole.spawn("ingress")
    load = await uploading
    accepted = asyncio.get_running_loop().time() - began
    await whole.all_ended(load)
    verdict = await whole.verdict(load, among_others=True)
    row.record(
        fault=f"ingress/{point}/{mode}", attempts=load.sent[0][0].attempts, accepted_after_seconds=accepted
    )
    assert verdict.broken == []
    # Alone a store that fails once is asked again within the request.
    assert (load.sent[0][0].attempts > 1) == ((point, mode) != ("after_store", "raise"))
    # Whatever runs after it is compared with a state that has this upload too.
    await whole.drained()
    flow.single = await state_of(whole.settings)
