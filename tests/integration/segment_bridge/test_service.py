"""The service against simulators and PostgreSQL: runs, replicas, restarts, what it says when it cannot run."""

import asyncio
from pathlib import Path

import pytest

from headrace.local.simulators.segment import SegmentFault
from headrace.runtime.errors import ConfigurationError
from headrace_services.segment_bridge import app
from headrace_services.segment_bridge.settings import SegmentSettings, SplunkSettings
from tests.integration.segment_bridge.harness import outcomes
from tests.waiting import eventually


async def test_a_run_carries_every_record_to_segment_and_is_kept_with_its_counts(chain, bridge, tables):
    wait = await bridge().turn(starting=True)
    ((succeeded, outcome),) = await outcomes(tables)
    assert succeeded
    assert outcome["sent"] == outcome["rows"] == len(chain.segment.ids) > 100
    assert not chain.segment.discarded
    assert 3500 < wait <= 3600


async def test_the_next_run_resends_nothing_and_the_documents_way_everything(chain, bridge, tables):
    await bridge().turn(starting=True)
    sent = len(chain.segment.ids)
    await bridge(bridge={"interval_seconds": 0.001}).turn(starting=False)
    assert chain.segment.duplicates == 0
    await bridge(bridge={"interval_seconds": 0.001}, segment={"resend": True}).turn(starting=False)
    assert chain.segment.duplicates >= sent - 5  # the oldest may have left the window meanwhile
    assert [succeeded for succeeded, _ in await outcomes(tables)] == [True] * 3


async def test_two_replicas_run_once(chain, bridge, tables):
    waits = await asyncio.gather(bridge().turn(starting=True), bridge().turn(starting=True))
    assert len(await outcomes(tables)) == 1
    assert chain.segment.duplicates == 0
    # The one that was late looks again soon, should the other have been killed.
    assert min(waits) <= 60
    late = bridge()
    await late.turn(starting=True)
    ((_, outcome),) = await outcomes(tables)
    # It has not run, and tells how the run went all the same.
    assert late.last == outcome


async def test_a_run_that_was_killed_is_made_up_for_at_once_and_sends_nothing_twice(chain, bridge, tables):
    chain.segment.faults = [SegmentFault(), SegmentFault(hang=True), SegmentFault(hang=True)]
    killed = asyncio.create_task(
        bridge(segment={"batch_bytes": 20_000, "concurrency": 2}).turn(starting=True)
    )
    await eventually(lambda: len(chain.segment.faults) == 0, within_seconds=30)
    await eventually(lambda: tables.fetch_value("select count(*) > 0 from sent"), within_seconds=30)
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed
    taken = len(chain.segment.ids)
    await bridge().turn(starting=False)
    first, second = await outcomes(tables)
    assert first == (None, None)
    assert second[1]["skipped"] == {"sent before": taken}
    assert len(chain.segment.ids) == second[1]["rows"]
    assert chain.segment.duplicates == 0


async def test_failures_are_counted_in_a_row_and_the_next_good_run_misses_nothing(chain, bridge, tables):
    chain.segment.refuse_all = 401
    replica = bridge(bridge={"interval_seconds": 0.001})
    for _ in range(5):
        await replica.turn(starting=False)
    assert (await replica.runs.state()).failures == 5
    assert "Segment answered 401" in replica.problem
    chain.segment.refuse_all = 0
    await replica.turn(starting=False)
    assert replica.problem is None
    assert (await replica.runs.state()).failures == 0
    *_, (_, last) = await outcomes(tables)
    assert len(chain.segment.ids) == last["rows"] > 100


async def test_weak_point_an_incomplete_search_is_no_success(chain, bridge, tables):
    from headrace.local.simulators.splunk import ExportFault

    chain.splunk.faults = [ExportFault(status=400)]
    replica = bridge()
    await replica.turn(starting=True)
    ((succeeded, outcome),) = await outcomes(tables)
    assert not succeeded
    assert outcome["problems"][0].startswith("query Application: Splunk answered 400")
    # The rows of the other queries have gone on.
    assert len(chain.segment.ids) == outcome["sent"] > 50


async def test_weak_point_a_missing_map_is_a_failed_run_that_says_so(bridge, tables, tmp_path):
    replica = bridge(segment={"uid_map_file": str(tmp_path / "none")})
    await replica.turn(starting=True)
    ((succeeded, outcome),) = await outcomes(tables)
    assert not succeeded
    assert outcome["problems"][0].startswith("UID_MAP_FILE: ")
    assert "UID_MAP_FILE" in replica.problem


async def test_records_at_fault_are_kept_once_whatever_the_number_of_runs(chain, bridge, tables):
    replica = bridge(bridge={"interval_seconds": 0.001})
    await replica.turn(starting=True)
    chain.segment.poison = {next(iter(chain.segment.ids))}
    await tables.execute("truncate sent")
    for _ in range(2):
        await replica.turn(starting=False)
    rows = await tables.fetch("select reason, content from dead_letters")
    assert len(rows) == 1
    assert rows[0]["reason"].startswith("Segment answered 400")
    assert next(iter(chain.segment.poison)).encode() in rows[0]["content"]


async def test_dead_letters_go_to_a_file_that_is_named(chain, bridge, tables, tmp_path):
    letters = tmp_path / "letters.jsonl"
    chain.segment.refuse_all = 400
    await bridge(bridge={"dead_letters": str(letters)}).turn(starting=True)
    ((_, outcome),) = await outcomes(tables)
    assert outcome["buried"] == {"refused by Segment": outcome["rows"]}
    assert len(letters.read_bytes().splitlines()) == outcome["rows"]
    assert await tables.fetch_value("select count(*) from dead_letters") == 0


def test_settings_that_are_missing_are_named(monkeypatch, tmp_path: Path):
    for name in ("SPLUNK_API_URL", "CURL_NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="SPLUNK_API_URL and CURL_NETRC not set"):
        app.check(SegmentSettings(), SplunkSettings())
    monkeypatch.setenv("SPLUNK_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("CURL_NETRC", str(tmp_path / "netrc"))
    with pytest.raises(ConfigurationError, match=r"CURL_NETRC: .* cannot be read"):
        app.check(SegmentSettings(netrc=str(tmp_path / "netrc")), SplunkSettings())
