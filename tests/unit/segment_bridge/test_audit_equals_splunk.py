"""Whatever the record: what the queries find in a file is what their text finds, read by the simulator of Splunk."""

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.local.simulators.spl import Event, parse
from headrace.samples.audit import AuditOptions, audit_records
from headrace_services.segment_bridge.audit import AuditOutcome, Evaluator
from headrace_services.segment_bridge.queries import QUERIES
from tests.unit.segment_bridge.audit_records import CASES, PAC

SEARCHES = [parse(query.spl("main")) for query in QUERIES]
RECORDS = [record for case in CASES for record in (*case.meant, *case.others)]
TEXTS = ["", "build", "BUILD", "status", "True", "Succeeded", "Released", "Failed", "Completed", "Running", "create",
         "patch", "system:x", "alice", "Tasks Completed: 0 x", "Tasks Completed: 10", "a?b", "*", "pac", '{"pac":7}',
         PAC % "u", "components", "clair-scan", "CLAIR_SCAN_RESULT", '{"vulnerabilities":{"low":[1]}}']  # fmt: skip


def by_file(records):
    evaluator = Evaluator(AuditOutcome())
    lines = [line for record in records for line in evaluator.rows(json.dumps(record).encode(), "")]
    return sorted(json.dumps(json.loads(line)["result"]) for line in (*lines, *evaluator.finish()))


def by_text(records):
    found = []
    for search in SEARCHES:
        events = search.run(Event(json.dumps(record).encode()) for record in records)
        found += [event.shown(shaped=True) for event in events]
    return sorted(json.dumps(row) for row in found)


def places(value, way=()):
    """Where texts stand. Within lists none goes away: Splunk counts values, and would take the next one's."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*way, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(item, (*way, number))
    elif isinstance(value, str):
        yield way


@st.composite
def changed_records(draw):
    record = copy.deepcopy(draw(st.sampled_from(RECORDS)))
    for _ in range(draw(st.integers(0, 3))):
        *way, last = draw(st.sampled_from([place for place in places(record) if place != ("log_type",)]))
        into = record
        for key in way:
            into = into[key]
        if not any(isinstance(key, int) for key in (*way, last)) and draw(st.booleans()):
            del into[last]
        else:
            into[last] = draw(st.sampled_from(TEXTS))
    return record


@settings(deadline=None, max_examples=100)
@given(st.lists(changed_records(), min_size=1, max_size=4))
def test_changed_records(records):
    assert by_file(records) == by_text(records)


def test_a_clusters_log():
    records = list(audit_records(AuditOptions(records=600, seed=5)))
    found = by_file(records)
    assert len(found) > 60
    assert found == by_text(records)
