import asyncio
import base64
import json
from contextlib import aclosing
from pathlib import Path

import aiohttp
import pytest

from headrace.local.simulators.splunk import ExportFault
from headrace.runtime.errors import ConfigurationError
from headrace_services.segment_bridge.audit import AuditOutcome, rows
from headrace_services.segment_bridge.queries import QUERIES
from headrace_services.segment_bridge.splunk import Outcome, Splunk, records
from tests.proxy import TcpProxy
from tests.unit.segment_bridge.audit_records import CASES, everything, told, write
from tests.unit.segment_bridge.original.queries import ORIGINALS
from tests.waiting import eventually

EXPECTED = {audit_id: result for case in CASES for audit_id, result in case.expected.items()}
FIRST = QUERIES[:1]
ORIGINAL = Path(__file__).parents[2] / "unit/segment_bridge/original"


@pytest.fixture(autouse=True)
def _retries_at_once(monkeypatch):
    from headrace.runtime.retries import RetryPolicy

    monkeypatch.setattr(RetryPolicy, "delay_seconds", lambda *_: 0.0)


async def read(settings, queries=QUERIES):
    outcome = Outcome()
    async with Splunk(settings) as splunk, aclosing(records(splunk, outcome, queries)) as lines:
        return [line async for line in lines], outcome


async def test_the_eight_queries_find_what_the_table_says(settings, simulator):
    lines, outcome = await read(settings)
    assert told(lines) == EXPECTED
    assert outcome.complete
    assert [(query.title, query.rows) for query in outcome.queries] == [(case.title, 5) for case in CASES]
    assert [form["search"] for form in simulator.searches] == [query.spl("test_index") for query in QUERIES]
    assert simulator.searches[0] == {
        "output_mode": "json", "earliest_time": "2026-07-31T00:00:00Z", "latest_time": "2026-08-01T00:00:00Z",
        "search": QUERIES[0].spl("test_index"),
    }  # fmt: skip


async def test_files_give_what_splunk_gives(settings, tmp_path):
    from_splunk, _ = await read(settings)
    from_files = [
        line async for line in rows([write(tmp_path / "again.jsonl", everything())], AuditOutcome())
    ]

    def plain(lines):
        found = [json.loads(line) for line in lines]
        return sorted((row["result"] for row in found), key=lambda result: result["messageId"])

    assert plain(from_files) == plain(from_splunk)


async def test_lines_pass_as_splunk_wrote_them(settings):
    lines, _ = await read(settings, FIRST)
    assert [line.startswith(b'{"preview":false,"offset":%d' % n) for n, line in enumerate(lines)] == [
        True
    ] * 5
    assert b'"lastrow":true' in lines[-1]
    assert not any(b'"lastrow"' in line for line in lines[:-1])


async def test_a_window_without_records_is_a_success_without_rows(settings_of, simulator):
    lines, outcome = await read(settings_of(simulator, earliest="-4hours", latest="now"))
    assert (lines, outcome.complete, outcome.rows) == ([], True, 0)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_busy_splunk_is_asked_again(settings, simulator, status):
    simulator.faults = [ExportFault(status, {"Retry-After": "0"})] * 3
    lines, outcome = await read(settings, FIRST)
    assert (len(lines), outcome.complete, outcome.queries[0].attempts) == (5, True, 4)


async def test_retries_end(settings, simulator):
    simulator.faults = [ExportFault(503)] * 4
    lines, outcome = await read(settings, QUERIES[:2])
    # The next query is asked all the same.
    assert len(lines) == 5
    assert not outcome.complete
    assert list(outcome.failures) == ["Application"]
    assert outcome.failures["Application"].startswith("Splunk answered 503")


async def test_a_splunk_that_asks_for_more_time_than_there_is_gets_none(settings_of, simulator):
    simulator.faults = [ExportFault(503, {"Retry-After": "3600"})]
    _, outcome = await read(settings_of(simulator, retry_budget_seconds=5), FIRST)
    assert outcome.queries[0].attempts == 1
    assert not outcome.complete


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_is_not_asked_again(settings, simulator, status):
    simulator.faults = [ExportFault(status)]
    _, outcome = await read(settings, FIRST)
    assert outcome.queries[0].attempts == 1
    assert not outcome.complete


async def test_an_incomplete_search_under_200_is_no_success(settings, simulator):
    error = ExportFault(
        messages=({"type": "ERROR", "text": "Search results may be incomplete: a peer is down"},)
    )
    simulator.faults = [error]
    lines, outcome = await read(settings, FIRST)
    # What came is good and stays; that something is missing is said.
    assert len(lines) == 5
    assert outcome.failures == {
        "Application": "Splunk reported ERROR: Search results may be incomplete: a peer is down"
    }
    assert not outcome.complete


async def test_a_search_given_up_under_200_is_asked_again(settings, simulator):
    fatal = ExportFault(
        messages=({"type": "FATAL", "text": "too many concurrent searches"},), end_after_rows=0
    )
    simulator.faults = [fatal]
    lines, outcome = await read(settings, FIRST)
    assert (len(lines), outcome.complete, outcome.queries[0].attempts) == (5, True, 2)
    simulator.faults = [fatal] * 4
    lines, outcome = await read(settings, FIRST)
    assert (lines, outcome.complete) == ([], False)


async def test_rows_before_a_search_is_given_up_are_kept(settings, simulator):
    row = b'{"preview":false,"offset":0,"result":{"messageId":"1"}}\n'
    fatal = b'{"messages":[{"type":"FATAL","text":"a peer is gone"}]}\n'
    simulator.canned = lambda _search: [row + fatal + row]
    lines, outcome = await read(settings, FIRST)
    assert lines == [row.rstrip()] * 8
    assert outcome.failures == {"Application": "Splunk aborted the search: a peer is gone"}


async def test_warnings_are_kept_and_no_failure(settings, simulator):
    simulator.faults = [ExportFault(messages=({"type": "WARN", "text": "slow disk"},))]
    _, outcome = await read(settings, FIRST)
    assert outcome.queries[0].messages == ["WARN: slow disk"]
    assert outcome.complete


async def test_preview_rows_are_not_records(settings, simulator):
    simulator.faults = [ExportFault(previews=3)]
    lines, outcome = await read(settings, FIRST)
    assert list(told(lines)) == [f"app-{n}" for n in range(1, 6)]
    assert outcome.queries[0].previews == 3


@pytest.mark.parametrize("fault", [ExportFault(cut_after_rows=2), ExportFault(end_after_rows=2)])
async def test_an_answer_that_breaks_off_is_read_again_and_loses_nothing(settings, simulator, fault):
    simulator.faults = [fault]
    lines, outcome = await read(settings, FIRST)
    assert {json.loads(line)["result"]["messageId"] for line in lines} == {f"app-{n}" for n in range(1, 6)}
    assert outcome.complete
    assert outcome.queries[0].repeated == len(lines) - 5


async def test_an_answer_that_always_breaks_off_is_no_success(settings, simulator):
    simulator.faults = [ExportFault(end_after_rows=2)] * 4
    _, outcome = await read(settings, FIRST)
    assert outcome.failures == {"Application": "Splunk's answer ended before its last row"}


async def test_a_line_that_is_no_json_is_told(settings, simulator):
    good = b'{"preview":false,"offset":0,"lastrow":true,"result":{"messageId":"1"}}\n'
    simulator.canned = lambda _search: [b"<html>\n", good]
    lines, outcome = await read(settings, FIRST)
    assert lines == [good.rstrip()]
    assert "not a JSON object" in outcome.failures["Application"]


async def test_rows_in_any_other_layout_are_rows_too(settings, simulator):
    written = [
        b'{"preview": false, "offset": 0, "result": {"messageId": "1"}}',
        b'{"offset":1,"preview":false,"lastrow":true,"result":{"messageId":"2"},"messages":[]}',
    ]
    # Pieces end anywhere, the last line without an end.
    text = b"\n\n".join(written)
    simulator.canned = lambda _search: [text[at : at + 7] for at in range(0, len(text), 7)]
    lines, outcome = await read(settings, FIRST)
    assert lines == written
    assert outcome.complete


async def test_a_splunk_that_is_away_is_told_for_every_query(settings, simulator):
    await simulator.close()
    _, outcome = await read(settings)
    assert set(outcome.failures.values()) == {"Splunk does not answer: ClientConnectorError"}
    assert len(outcome.failures) == 8


async def test_an_answer_that_stands_still_counts_as_lost(settings_of, simulator):
    address = simulator.url.removeprefix("http://")
    async with TcpProxy.open(address) as proxy:
        changes = {"url": f"http://{proxy.address}", "idle_seconds": 0.3, "retries": 100}
        proxy.down.hang = True
        reading = asyncio.create_task(read(settings_of(simulator, **changes), FIRST))
        await eventually(lambda: proxy.connections >= 3, within_seconds=60)
        proxy.down.hang = False
        lines, outcome = await asyncio.wait_for(reading, 60)
    assert outcome.complete
    assert list(told(lines)) == [f"app-{n}" for n in range(1, 6)]
    assert outcome.queries[0].attempts >= 3


@pytest.mark.parametrize("toxic", ["reset_after_bytes", "close_after_bytes"])
@pytest.mark.parametrize("after_bytes", [0, 50, 200, 600, 1500])
async def test_a_connection_lost_at_any_byte_loses_no_row(settings_of, simulator, toxic, after_bytes):
    async with TcpProxy.open(simulator.url.removeprefix("http://")) as proxy:
        settings = settings_of(simulator, url=f"http://{proxy.address}", retries=1000)
        setattr(proxy.down, toxic, after_bytes)
        reading = asyncio.create_task(read(settings, FIRST))
        await eventually(lambda: proxy.connections > 1, within_seconds=60)
        setattr(proxy.down, toxic, None)
        lines, outcome = await asyncio.wait_for(reading, 60)
    assert outcome.complete
    assert {json.loads(line)["result"]["messageId"] for line in lines} == {f"app-{n}" for n in range(1, 6)}


async def test_a_login_that_is_missing_or_wrong_is_told_without_it(settings_of, simulator, tmp_path):
    with pytest.raises(ConfigurationError, match=r"CURL_NETRC: .*missing cannot be read: No such file"):
        await read(settings_of(simulator, netrc=str(tmp_path / "missing")))
    other = tmp_path / "other"
    other.write_text("machine elsewhere login a password planted-secret\n")
    with pytest.raises(ConfigurationError, match=r"has no login for machine 127\.0\.0\.1"):
        await read(settings_of(simulator, netrc=str(other)))
    other.write_text("machine 127.0.0.1 login a planted-secret\n")
    with pytest.raises(ConfigurationError, match="is not a netrc file, near line") as refused:
        await read(settings_of(simulator, netrc=str(other)))
    assert "planted-secret" not in str(refused.value)
    other.write_text("machine 127.0.0.1 login admin password planted-secret\n")
    _, outcome = await read(settings_of(simulator, netrc=str(other)))
    assert all("401" in reason for reason in outcome.failures.values())
    # A login that is not taken is not tried again: it could lock the account.
    assert [query.attempts for query in outcome.queries] == [1, 0, 0, 0, 0, 0, 0, 0]
    secret = base64.b64encode(b"admin:planted-secret").decode()
    assert not {"planted-secret", secret} & set(repr(outcome).replace("'", " ").split())


async def test_the_documents_search_runs_as_a_job_and_files_are_indexed(simulator, tmp_path):
    """As the document's test fills the container."""
    auth = {"Authorization": aiohttp.encode_basic_auth("admin", simulator.password)}
    path = write(tmp_path / "more.jsonl", everything()[:4])
    async with aiohttp.ClientSession(simulator.url, headers=auth) as session:
        created = await session.post("/servicesNS/nobody/search/data/indexes", data={"name": "more"})
        assert created.status == 201
        form = {"name": str(path), "index": "more"}
        assert (await session.post("/services/data/inputs/oneshot", data=form)).status == 201
        answer = await session.get("/services/data/inputs/oneshot", params={"output_mode": "json"})
        assert (await answer.json())["paging"]["total"] == 0
        search = {"search": "search index=more verb=create | fields auditID, verb | fields - _*"}
        answer = await session.post("/services/search/jobs", data=search)
        sid = (await answer.text()).partition("<sid>")[2].partition("</sid>")[0]
        answer = await session.get(f"/services/search/jobs/{sid}/results", params={"output_mode": "json"})
        assert {row["auditID"] for row in (await answer.json())["results"]} >= {"app-1", "app-2"}


async def test_original_queries_are_answered_byte_for_byte(simulator):
    simulator.index("original", ORIGINAL / "records.jsonl")
    auth = {"Authorization": aiohttp.encode_basic_auth("admin", simulator.password)}
    answers = b""
    async with aiohttp.ClientSession(simulator.url, headers=auth) as session:
        for query in ORIGINALS:
            form = {
                "output_mode": "json", "earliest_time": "2023-01-01T10:46:34.955712833Z",
                "latest_time": "-0hours", "search": query.spl("original"),
            }  # fmt: skip
            answer = await session.post("/servicesNS/nobody/-/search/v2/jobs/export", data=form)
            answers += await answer.read()
        count = {"search": "search index=original | stats count", "output_mode": "csv"}
        answer = await session.post("/servicesNS/nobody/-/search/v2/jobs/export", data=count)
        assert await answer.text() == "count\n10\n"
    assert answers == (ORIGINAL / "required.ndjson").read_bytes()


@pytest.mark.parametrize("path", ["/services/search/jobs", "/services/search/v2/jobs/export"])
async def test_a_search_that_splunk_would_refuse_is_refused_in_its_form(simulator, path):
    auth = aiohttp.encode_basic_auth("admin", simulator.password)
    async with aiohttp.ClientSession(simulator.url) as session:
        form = {"search": "search index=test_index | sendemail"}
        answer = await session.post(path, data=form | {"output_mode": "json"})
        refusal = {"type": "WARN", "text": "call not properly authenticated"}
        assert (answer.status, await answer.json()) == (401, {"messages": [refusal]})
        session.headers["Authorization"] = auth
        answer = await session.post(path, data=form | {"output_mode": "json"})
        refusal = {"type": "FATAL", "text": "Unknown search command 'sendemail'."}
        assert (answer.status, await answer.json()) == (400, {"messages": [refusal]})
        answer = await session.post(path, data=form)
        assert answer.content_type == "text/xml"
        assert '<msg type="FATAL">Unknown search command' in await answer.text()


async def test_curl_runs_the_documents_search_over_https(chain):
    """`curl -u admin:… -k https://localhost:8089/services/search/jobs -d search="search *"`."""

    async def curl(*words):
        login = f"admin:{chain.splunk.password}"
        process = await asyncio.create_subprocess_exec(
            "curl", "-sS", "-u", login, "-k", *words, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        return output.decode()

    jobs = f"https://localhost:{chain.splunk.port}/services/search/jobs"
    answer = await curl(jobs, "-d", "search=search *", "-w", "%{http_code}")
    assert answer.endswith("201")
    sid = answer.partition("<sid>")[2].partition("</sid>")[0]
    job = json.loads(await curl(f"{jobs}/{sid}?output_mode=json"))["entry"][0]["content"]
    assert (job["isDone"], job["dispatchState"], job["resultCount"]) == (True, "DONE", 1000)
    page = json.loads(await curl(f"{jobs}/{sid}/results?output_mode=json&count=5&offset=995"))
    times = [row["_time"] for row in page["results"]]
    # All data, the newest first.
    assert (page["init_offset"], len(times), times) == (995, 5, sorted(times, reverse=True))
    assert "<field k=" in await curl(f"{jobs}/{sid}/results?count=1")
    assert "cancelled" in await curl("-X", "DELETE", f"{jobs}/{sid}")
    assert "Unknown sid." in await curl(f"{jobs}/{sid}/results")


async def test_a_map_in_the_kv_store_is_looked_up_in_a_search(simulator):
    simulator.kv.collections["people"] = {"1": {"_key": "1", "username": "alice", "uid": "42"}}
    simulator.kv.lookups["people"] = {"collection": "people", "external_type": "kvstore"}
    lookup = "lookup people username AS user.username OUTPUT uid"
    search = (
        f"search index=test_index auditID IN (app-1, app-3) | {lookup} | table auditID uid | sort auditID"
    )
    auth = {"Authorization": aiohttp.encode_basic_auth("admin", simulator.password)}
    async with aiohttp.ClientSession(simulator.url, headers=auth) as session:
        form = {"search": search, "output_mode": "json", "exec_mode": "oneshot"}
        answer = await session.post("/services/search/jobs", data=form)
        assert (await answer.json())["results"] == [{"auditID": "app-1", "uid": "42"}, {"auditID": "app-3"}]
        form["search"] = "| inputlookup people"
        answer = await session.post("/services/search/jobs", data=form)
        assert (await answer.json())["results"] == [{"username": "alice", "uid": "42"}]
        form["search"] = "| inputlookup nobody"
        answer = await session.post("/services/search/jobs", data=form)
        assert answer.status == 400
