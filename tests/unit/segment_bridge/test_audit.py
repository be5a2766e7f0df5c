import gzip
import io
import json

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace_services.segment_bridge.audit import AuditOutcome, audit, rows
from headrace_services.segment_bridge.queries import QUERIES
from tests.unit.segment_bridge import audit_records
from tests.unit.segment_bridge.audit_records import CASES, changed, everything, told, write


async def found(*files, queries=QUERIES):
    outcome = AuditOutcome()
    return [row async for row in rows(files, outcome, queries)], outcome


def test_there_are_ten_records_for_each_query():
    assert [case.title for case in CASES] == [query.title for query in QUERIES]
    assert {(len(case.meant), len(case.others)) for case in CASES} == {(5, 5)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
async def test_a_query_finds_what_it_means_and_tells_what_the_table_says(case, tmp_path):
    (query,) = [query for query in QUERIES if query.title == case.title]
    lines, outcome = await found(write(tmp_path / "audit", case.others + case.meant), queries=[query])
    assert told(lines) == case.expected
    assert outcome.rows == {case.title: 5}
    assert outcome.complete


async def test_one_pass_answers_all_queries(tmp_path):
    expected = {audit_id: result for case in CASES for audit_id, result in case.expected.items()}
    lines, outcome = await found(write(tmp_path / "audit", everything()))
    assert told(lines) == expected
    offsets = [json.loads(line)["offset"] for line in lines if b'"event":"Pull request created"' in line]
    assert offsets == list(range(5))
    assert outcome.lines == 80


async def test_gzip_is_read_as_plain_and_files_are_one_log(tmp_path):
    plain = write(tmp_path / "audit", everything())
    zipped = tmp_path / "zipped"
    # Rotated logs are joined as they are: members one after another.
    records = plain.read_bytes().splitlines(keepends=True)
    zipped.write_bytes(gzip.compress(b"".join(records[:40])) + gzip.compress(b"".join(records[40:])))
    assert (await found(zipped))[0] == (await found(plain))[0]
    halves = [write(tmp_path / f"half-{n}", everything()[n * 40 : n * 40 + 40]) for n in (0, 1)]
    assert (await found(*halves))[0] == (await found(plain))[0]


async def test_a_large_record_is_read(tmp_path):
    (record, *_) = CASES[0].meant
    large = changed(record, ("responseObject/spec", {"text": "x" * 3_000_000}))
    lines, _ = await found(write(tmp_path / "audit", [large]))
    assert list(told(lines)) == ["app-1"]


async def test_a_line_that_is_no_record_is_counted_and_the_rest_goes_on(tmp_path):
    path = write(tmp_path / "audit", CASES[0].meant)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1:1] = [
        b"not JSON\n",
        b"\r\n",
        b'{"apiGroup":"appstudio.redhat.com"\n',
        b'["appstudio.redhat.com"]\n',
    ]
    path.write_bytes(b"".join(lines).rstrip(b"\n"))
    given, outcome = await found(path)
    assert list(told(given)) == ["app-1", "app-2", "app-3", "app-4", "app-5"]
    assert (outcome.unreadable, outcome.complete) == (4, False)
    assert outcome.unreadable_places == [f"{path}:{number}" for number in (2, 3, 4, 5)]


async def test_a_damaged_file_is_told_and_the_next_is_read(tmp_path):
    whole = write(tmp_path / "audit", CASES[0].meant)
    cut = tmp_path / "cut"
    cut.write_bytes(gzip.compress(whole.read_bytes())[:-20])
    given, outcome = await found(cut, whole)
    assert len(given) >= 5
    assert "damaged gzip" in outcome.failures[str(cut)]
    assert not outcome.complete


async def test_a_log_no_collector_has_marked_is_read(tmp_path):
    records = [changed(record, ("log_type", audit_records.GONE)) for record in CASES[0].meant]
    lines, _ = await found(write(tmp_path / "audit", records))
    assert len(lines) == 5


async def test_records_of_any_shape_do_no_harm(tmp_path):
    odd = [
        changed(record, (key, value))
        for record in (case.meant[0] for case in CASES)
        for key in (
            "objectRef",
            "responseObject",
            "user",
            "requestObject",
            "verb",
            "responseStatus",
            "auditID",
        )
        for value in (
            None,
            [],
            {},
            "text",
            7,
            [["x"]],
            {"metadata": []},
            {"status": {"conditions": ["x", {}]}},
        )
    ]
    _, outcome = await found(write(tmp_path / "audit", odd))
    assert (outcome.lines, outcome.unreadable) == (len(odd), 0)


async def test_the_earliest_of_several_counts_wherever_it_stands(tmp_path):
    early, *_ = CASES[7].meant
    late = changed(early, ("auditID", "late"), ("requestReceivedTimestamp", "2026-07-31T11:00:00.000000Z"))
    for order in ([early, late], [late, early]):
        lines, _ = await found(write(tmp_path / "audit", order))
        assert list(told(lines)) == ["pr-1"]


async def test_the_command_writes_a_row_a_line(tmp_path):
    output = io.BytesIO()
    outcome = await audit([write(tmp_path / "audit", everything())], output)
    assert len(output.getvalue().splitlines()) == sum(outcome.rows.values())
    with pytest.raises(ConfigurationError, match="missing is not a file"):
        await audit([tmp_path / "missing"], output)


async def test_a_file_without_a_single_audit_record_is_a_failed_run(tmp_path):
    whole, idle, empty = write(tmp_path / "audit", everything()), tmp_path / "idle", tmp_path / "empty"
    other = tmp_path / "other"
    other.write_bytes(b'{"log_type":"application","message":"a"}\n{"hello":"appstudio.redhat.com"}\n' * 100)
    idle.write_bytes(b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","objectRef":{"resource":"pods"}}\n')
    empty.write_bytes(b"")
    for files in ([other], [other, whole], [whole, other]):
        _, outcome = await found(*files)
        assert outcome.failures == {str(other): "it contains no audit record"}
        assert not outcome.complete
    _, outcome = await found(idle, empty, whole)
    assert outcome.complete
