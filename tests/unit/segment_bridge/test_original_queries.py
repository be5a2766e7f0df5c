"""The searches of the original scripts, run by the simulator: it answers as Splunk did."""

from datetime import datetime
from pathlib import Path

import orjson
import pytest

from headrace.local.simulators.spl import Event, parse
from tests.unit.segment_bridge.audit_records import CASES, everything
from tests.unit.segment_bridge.original.queries import ORIGINALS

DIRECTORY = Path(__file__).parent / "original"
REQUIRED = [orjson.loads(line) for line in (DIRECTORY / "required.ndjson").read_bytes().splitlines()]
# Where ours finds another record than the original does, and why: docs/differences.md.
NOT_IN_THE_ORIGINAL = {
    # Tekton's v1 calls the list of results otherwise.
    "clair-2",
    # A longer name before it fits the original's regular expression, and is taken for the condition.
    "end-4",
}
ONLY_IN_THE_ORIGINAL = {"Clair scan": 1}


def rows(spl, records):
    search = parse(spl)
    return [event.shown(shaped=search.shaped) for event in search.run(map(event_of, records))]


def event_of(record):
    received = orjson.loads(record).get("requestReceivedTimestamp", "1970-01-01")
    return Event(record, datetime.fromisoformat(received).timestamp())


@pytest.mark.parametrize("number", range(8))
def test_each_original_query_gives_what_splunk_gave(number):
    records = (DIRECTORY / "records.jsonl").read_bytes().splitlines()
    found = rows(ORIGINALS[number].spl("main"), records)
    required = REQUIRED[number].get("result")
    # In the same order of keys, too.
    assert [list(row.items()) for row in found] == ([list(required.items())] if required else [])


@pytest.mark.parametrize("number", range(8))
def test_the_original_queries_and_ours_find_the_same(number):
    case = CASES[number]
    found = rows(ORIGINALS[number].spl("main"), map(orjson.dumps, everything()))
    told = {
        row["messageId"]: row | {name: orjson.loads(row[name]) for name in ("context", "properties")}
        for row in found
    }
    expected = {name: row for name, row in case.expected.items() if name not in NOT_IN_THE_ORIGINAL}
    assert {name: row for name, row in told.items() if name in expected} == expected
    assert len(told) - len(expected) == ONLY_IN_THE_ORIGINAL.get(case.title, 0)
