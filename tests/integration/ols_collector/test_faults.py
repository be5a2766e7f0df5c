"""An ingress that answers anything: no file is lost, none is deleted before its 202."""

import asyncio
import logging
import os
from collections import Counter

import pytest

from headrace.contracts.headers import REQUEST_ID_HEADER
from headrace_services.ols_collector.collector import Collector
from tests.integration.ols_collector.harness import (
    ACCESS_TOKEN,
    OFFLINE_TOKEN,
    PULL_SECRET_AUTH,
    collect,
    open_peer,
)
from tests.unit.ols_collector.data import names, plan, write
from tests.waiting import eventually

FILES = 30
# What each fate costs in attempts of one cycle, and whether the files go in the end.
FATES = {
    202: (1, True),
    200: (1, False),
    302: (1, False),
    400: (1, False),
    401: (1, False),
    # Three times the chunk is halved, then each part goes as it is.
    413: (7, True),
    415: (1, False),
    408: (2, True),
    429: (2, True),
    503: (2, True),
    "hang": (2, True),
    "drop": (2, True),
    "early": (2, True),
}


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    for number in range(FILES):
        kind = ("feedback", "transcripts/user/conversation", "config")[number % 3]
        write(
            root,
            f"{kind}/{number}.json",
            f'{{"content":"{os.urandom(6000).hex()}"}}',
            age_seconds=FILES - number,
        )
    return root


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.DEBUG, "ols_collector")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("fate", FATES, ids=str)
async def test_whatever_the_ingress_does_no_file_is_lost(data, lines, fate, record_property):
    if fate == "early":
        # It must not fit into the buffers between the two.
        write(data, "config/large.json", f'{{"content":"{os.urandom(4 << 20).hex()}"}}', age_seconds=60)
    written = names(data)
    script = [413, 413, 413] if fate == 413 else [fate]
    async with open_peer(data, *script) as peer:
        outcome = await collect(plan(data, peer.url, ingress_timeout=0.3 if fate == "hang" else 20.0))
        attempts, gone = FATES[fate]
        record_property(
            "figures",
            f"{fate}: {len(peer.uploads)} attempts, {outcome.sent} sent, {outcome.failed} failed, "
            f"{len(names(data))} left, {len(peer.lost(written))} lost, {len(peer.deleted_too_soon)} deleted too soon",
        )
        assert not peer.lost(written)
        assert not peer.deleted_too_soon
        assert names(data) == (set() if gone else written)
        assert (outcome.sent, outcome.failed) == ((len(written), 0) if gone else (0, len(written)))
        assert len(peer.uploads) == attempts
        # Until it is well again.
        await collect(plan(data, peer.url))
    assert peer.accepted == written
    assert not names(data)


async def test_each_attempt_sends_the_whole_body(data):
    """Weak point: the second and third attempt of upstream sent an empty file."""
    written = names(data)
    async with open_peer(data, 503, 500) as peer:
        await collect(plan(data, peer.url))
        assert [set(upload.members) for upload in peer.uploads] == [written] * 3
        assert len({upload.body for upload in peer.uploads}) == 1
        assert len({upload.headers[REQUEST_ID_HEADER] for upload in peer.uploads}) == 1


async def test_after_the_last_failed_attempt_the_files_stay(data, lines):
    """Weak point: upstream deleted them."""
    written = names(data)
    async with open_peer(data, 503, 503, 503, 503) as peer:
        outcome = await collect(plan(data, peer.url))
        assert len(peer.uploads) == 3
    assert names(data) == written
    assert (outcome.failed, outcome.attempts) == (FILES, 3)
    assert "503" in outcome.reason
    assert lines()[-2:] == [
        "max retries reached, operation failed.",
        f"{FILES} files stay for the next collection",
    ]


async def test_a_refusal_is_not_retried(data, lines):
    """Weak point: a 401 held the only worker for 14 minutes."""
    async with open_peer(data, 401) as peer:
        await collect(plan(data, peer.url, ingress_base_delay=600.0))
        assert len(peer.uploads) == 1
    assert not [line for line in lines() if line.startswith("retrying")]


async def test_retry_after_is_waited_for(data, lines):
    """Weak point: no Retry-After, no jitter."""
    async with open_peer(data, 429, answer_headers={"Retry-After": "1"}) as peer:
        await collect(plan(data, peer.url))
        assert len(peer.uploads) == 2
    assert "retrying in 1 seconds..." in lines()


async def test_a_retry_after_beyond_the_budget_ends_the_attempts(data):
    async with open_peer(data, 503, answer_headers={"Retry-After": "1000"}) as peer:
        outcome = await collect(plan(data, peer.url))
        assert len(peer.uploads) == 1
    assert outcome.failed == FILES


async def test_a_refused_chunk_does_not_hold_up_the_others(data):
    written = names(data)
    async with open_peer(data, 400) as peer:
        outcome = await collect(plan(data, peer.url, chunk_limit_bytes=60_000))
        assert len(peer.uploads) == 8
        assert names(data) == written - peer.accepted
    assert (outcome.sent, outcome.failed) == (26, 4)


async def test_an_ingress_that_is_away_ends_the_cycle_after_one_chunk(data):
    async with open_peer(data, 503, 503, 503) as peer:
        outcome = await collect(plan(data, peer.url, chunk_limit_bytes=60_000))
        assert len(peer.uploads) == 3
    assert (outcome.sent, outcome.failed, len(names(data))) == (0, FILES, FILES)


async def test_without_pull_secret_nothing_is_sent_and_nothing_removed(data, lines, tmp_path):
    """Weak point: the branch that says so never ran."""
    secret = tmp_path / "docker.json"
    secret.write_text('{"auths":{}}')
    async with open_peer(data) as peer:
        outcome = await collect(plan(data, peer.url, auth_token="", pull_secret_file=str(secret)))
        assert not peer.uploads
    assert len(names(data)) == FILES
    assert "upload and data removal canceled" in lines()
    assert outcome.reason.startswith("pull secret not found")


async def test_the_guard_works_while_uploads_fail(data, lines):
    """Weak point: in an outage the disk filled up."""
    before = sorted(names(data), key=lambda name: (data / name).stat().st_mtime)
    size = (data / before[0]).stat().st_size
    async with open_peer(data, 503, 503, 503) as peer:
        outcome = await collect(plan(data, peer.url, storage_limit_bytes=20 * size + 1))
    assert outcome.discarded == 10
    assert names(data) == set(before[10:])
    assert "removing files to fit the data into the limit..." in lines()


async def test_a_half_written_file_is_left_and_told_once_it_is_old(data, lines):
    """Weak point: a cycle could delete what was still being written."""
    fresh = write(data, "feedback/fresh.json", '{"half')
    old = write(data, "feedback/old.json", '{"half', age_seconds=7200)
    async with open_peer(data) as peer:
        collector = Collector(plan(data, peer.url, collection_interval=0.05))
        task = asyncio.create_task(collector.run())
        await eventually(lambda: collector.status.cycles >= 3, within_seconds=60)
        await collector.stop(20)
        await task
        assert not {"feedback/fresh.json", "feedback/old.json"} & peer.accepted
    assert fresh.exists()
    told = [line for line in lines() if str(old) in line]
    assert told == [f"'{old}' is not valid JSON and is no longer written to, leaving it in place"]


async def test_nothing_planted_shows_in_a_log_line(data, caplog, tmp_path, record_property):
    """The peer repeats what it was sent, and the SSO too; every way to be let in, at level DEBUG."""
    caplog.set_level(logging.DEBUG)
    # A service that ran before in this process may have left its own level.
    caplog.set_level(logging.DEBUG, "ols_collector")
    secret = tmp_path / "docker.json"
    secret.write_text(f'{{"auths":{{"cloud.openshift.com":{{"auth":"{PULL_SECRET_AUTH}"}}}}}}')
    ways = (
        {"auth_token": "planted-direct-token"},
        {"auth_token": "", "cp_offline_token": OFFLINE_TOKEN},
        {"auth_token": "", "pull_secret_file": str(secret)},
        {"auth_token": "", "client_id": "planted", "client_secret": "planted-client-secret"},
    )
    async with open_peer(data) as peer:
        for way in ways:
            for sso_status in (200, 400, 503):
                peer.script, peer.sso_status = [503, 400], sso_status
                await collect(plan(data, peer.url, **way))
    text = "\n".join(record.getMessage() for record in caplog.records)
    planted = ("planted-direct-token", OFFLINE_TOKEN, ACCESS_TOKEN, PULL_SECRET_AUTH, "planted-client-secret")
    assert Counter({word: text.count(word) for word in planted if word in text}) == Counter()
    assert "posting payload failed, response: 503: " in text
    assert "using cluster pull secret to authenticate" in text
    record_property("figures", f"{len(planted)} secrets, {len(caplog.records)} log lines, 0 found")
