"""Every page with hostile, missing and empty contents; what templates and files must not have."""

import gzip
import io
import re
import tarfile
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from headrace.bus.dead_letters import DeadLetter
from headrace_services.console import pages
from headrace_services.console.flow import HELD, State
from headrace_services.console.markdown import markdown
from tests.unit.console.made import (
    CONTAINER_ID,
    DLQ,
    NOW,
    Sources,
    cluster,
    config,
    console,
    facts,
    hit,
    interval,
    letter,
    payload,
    recommendation,
    sending,
    status,
    workload,
)

ROOM = Path(pages.__file__).parent
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e\x1b[31m{{7*7}}"
# The exact files of the releases; a change of one is a change of this table.
VENDORED = {
    "htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",  # htmx.org 4.0.1
    "hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",  # htmx.org 4.0.1
    # @fontsource-variable/red-hat-text 5.3.0, files/red-hat-text-latin-wght-normal.woff2
    "red-hat-text.woff2": "59826f39dcb265c6aa94d978cc0941a083df5acc7f447324ecf6f58ad19d6b7c",
}
PAGES = (
    "/console/", "/console/payloads", "/console/payloads/r1", "/console/payloads/nothing", "/console/upload",
    "/console/dead-letters", "/console/dead-letters?group=g1", f"/console/dead-letters/{DLQ}/0/3",
    f"/console/redrive?letter={DLQ}:0:3", "/console/topics", "/console/topics/platform.upload.announce",
    "/console/clusters", "/console/clusters/c1", "/console/recommendations", "/console/recommendations/without",
    f"/console/recommendations/{CONTAINER_ID}", "/console/senders", "/console/senders?cluster=c1",
    "/console/nothing",
)  # fmt: skip


class Read(HTMLParser):
    """What a browser makes of a page: its elements, and the text that it shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.text += data


def archive(*names: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    return made.getvalue()


def record(**fields):
    made: dict[str, Any] = {
        "topic": "t", "partition": 0, "offset": 3, "timestamp": NOW, "key": b"k", "value": b"{}", "headers": (),
        "key_bytes": 1, "value_bytes": 2, "unreadable": "", "is_cut": False,
    }  # fmt: skip
    return SimpleNamespace(**(made | fields))


def whole(**fields) -> DeadLetter:
    made: dict[str, Any] = {
        "topic": DLQ, "partition": 0, "offset": 3, "original_topic": "platform.upload.announce",
        "original_partition": 1, "original_offset": 7, "original_timestamp": "", "service": "koku",
        "group": "hccm-group", "error_class": "Poison", "reason": "why", "attempts": 1, "first_seen": "",
        "dead_since": NOW, "redriven": False, "key": b"k", "value": b'{"request_id":"r1"}', "headers": (), "size": 19,
    }  # fmt: skip
    return DeadLetter(**(made | fields))


def filled(text: str) -> Sources:
    """Every source with one text wherever it has a text of others."""
    raw = text.encode()
    names = {"service": text, "source": text, "reason": text}
    return Sources(
        payloads=[
            payload(cluster=text, org_id=text, upload_service="openshift", reason=text, silent=[text]),
            payload(request_id=text, org_id=text, state="silent", silent=[text], upload_service=text),
        ],
        statuses=[
            status("x", "error", 1) | names | {"org_id": text},
            status("koku", text, 2, text, org_id=text),
        ],
        archives=[{"bucket": text, "key": text, "service": text, "copied_at": None}],
        clusters=[cluster(text)],
        cluster=cluster(text, passed=3, hits=[hit(text)], skipped=[{"rule_id": text, "reason": text}]),
        sendings=[sending(text), sending(text, state=text, sent_at=None, ended_at=None, events=None)],
        facts=facts(text),
        recommendations=[
            recommendation(text),
            recommendation(text, id=text, recommendations={}),
            recommendation(
                text, id=text, recommendations={"current": {"limits": text}, "notifications": text}
            ),
        ],
        workloads=[workload(text), workload(text, last_poll=None, metrics_upload_at=text)],
        usage={text: [interval(number) for number in range(4)] + [interval(9, cpu_usage_avg=text)]},
        past=[{"monitoring_end_time": text, "recommendations": recommendation(text)["recommendations"]}],
        reports=[{"cluster": text, "request_id": text, "hits": 2}],
        letters=[letter(reason=text, error_class=text, service=text, org_id=text, request_id="r1")],
        whole=whole(
            reason=text,
            error_class=text,
            service=text,
            group=text,
            key=raw,
            value=raw,
            headers=((text, raw),),
        ),
        records=[
            record(key=raw, value=raw, headers=((text, raw),)),
            record(value=b"\xff\x00<script>", unreadable=text),
            record(value=b'{"b64_identity":"c2VjcmV0"}', headers=(("x-rh-identity", b"c2VjcmV0"),)),
        ],
        states={"koku": State(HELD, [text]), "engines": State(HELD, [text])},
        object=archive("ok", "<b onclick=x>"),
    )


@pytest.mark.parametrize("text", [EVIL, "x" * 1_000_000, "", "ok"], ids=["hostile", "long", "empty", "plain"])
@pytest.mark.parametrize("path", PAGES)
async def test_whatever_others_wrote_is_only_text(path, text):
    async with console(filled(text)) as made:
        code, page = await made.get(path)
    assert code in {200, 404}, page[-500:]
    read = Read(page)
    scripts = [attributes for tag, attributes in read.elements if tag == "script"]
    assert all(attributes["src"].startswith("/console/static/") for attributes in scripts)
    assert len(scripts) == 3
    assert not [tag for tag, _ in read.elements if tag in {"img", "iframe", "object", "embed", "style", "b"}]
    for tag, attributes in read.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style"
            if name in {"href", "src", "action"}:
                assert value.startswith(("/console/", "#")), (tag, value)
    assert not [character for character in "\u202e\x1b" if character in page]
    assert "49" not in re.sub(r"\d\d+", "", read.text) or text != EVIL
    assert "c2VjcmV0" not in page
    assert len(page) < 400_000


async def test_reasons_are_shown_whole():
    reason = "the archive has no manifest.json: " + "x" * 1500
    sources = Sources(payloads=[payload()], statuses=[status("koku", "error", 1, reason)])
    async with console(sources) as made:
        page = (await made.get("/console/payloads/r1"))[1]
    assert reason in page
    assert page.index("What became of it") < page.index("How long each service took")


@pytest.mark.parametrize(
    ("away", "path", "told"),
    [
        ("payload_tracker", "/console/payloads", "payload_tracker answered 503"),
        ("payload_tracker", "/console/payloads/r1", "payload_tracker answered 503"),
        ("archiver", "/console/payloads/r1", "archiver answered 503"),
        ("results_aggregator", "/console/payloads/r1", "results_aggregator answered 503"),
        ("S3", "/console/payloads/r1", "S3 is away"),
        ("Kafka", "/console/payloads/r1", "no broker"),
        ("Kafka", "/console/", "no broker"),
        ("Kafka", "/console/topics", "no broker"),
        ("Kafka", "/console/dead-letters", "no broker"),
        ("health", "/console/", "no health report"),
        ("assisted_events", "/console/senders", "assisted_events answered 503"),
        ("health", "/console/senders", "no health report"),
        ("ros_api", "/console/recommendations", "ros_api answered 503"),
        ("ros_api", "/console/recommendations/without", "ros_api answered 503"),
        ("ros_api", f"/console/recommendations/{CONTAINER_ID}", "ros_api answered 503"),
    ],
)
async def test_a_source_that_is_away_is_told_in_its_place(away, path, told):
    sources = filled("ok")
    sources.payloads = [payload(upload_service="openshift")]
    sources.away = {away}
    async with console(sources) as made:
        code, page = await made.get(path)
    assert code == 200
    assert told in page
    assert "<h1" in page


async def test_what_is_not_known_is_not_well():
    async with console(Sources(away={"health", "Kafka"})) as made:
        page = (await made.get("/console/"))[1]
    assert 'class="state unknown"' in page
    assert 'class="state well"' not in page


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/console/payloads", "headrace send"),
        ("/console/payloads?state=failed", "No payload matches these filters"),
        ("/console/payloads/nothing", "headrace trace nothing"),
        ("/console/dead-letters", "There are no dead letters"),
        ("/console/topics/ccx.ocp.results", "headrace demo"),
        ("/console/senders", "headrace assisted simulate"),
        ("/console/senders", "No health report names segment_bridge"),
        ("/console/senders?state=sent", "No sending matches"),
        ("/console/recommendations", "headrace demo"),
        ("/console/recommendations?project=none", "No recommendation matches"),
        ("/console/recommendations/without", "headrace demo"),
        (f"/console/recommendations/{CONTAINER_ID}", "has no recommendation of this id"),
        ("/console/recommendations/odd", "is a UUID"),
    ],
)
async def test_an_empty_page_says_what_to_do(path, told):
    async with console(Sources()) as made:
        assert told in (await made.get(path))[1]


async def test_a_cluster_without_hits_says_so_and_worst_hits_come_first():
    async with console(Sources(cluster=cluster(passed=21, hits=[], skipped=[]))) as made:
        assert "All 21 rules passed" in (await made.get("/console/clusters/c1"))[1]
    hits = [hit(description="small", total_risk=1), hit(description="large", total_risk=4)]
    async with console(Sources(cluster=cluster(passed=None, hits=hits, skipped=[]))) as made:
        page = (await made.get("/console/clusters/c1"))[1]
    assert page.index("large") < page.index("small")
    assert "critical" in page


async def test_how_grave_a_hit_is_stands_in_words():
    async with console(
        Sources(cluster=cluster(passed=1, hits=[hit(impact=3, likelihood=1)], skipped=[]))
    ) as made:
        page = (await made.get("/console/clusters/c1"))[1]
    assert "impact high (3 of 4), likelihood low (1 of 4)" in Read(page).text
    assert re.search(r"2026-11-30 12:00:00 \([^)]+ ago\)|2026-11-30 12:00:00 \(in [^)]+\)", Read(page).text)


async def test_recommendations_tell_needs_and_savings_and_link_to_the_container():
    async with console(Sources(recommendations=[recommendation()])) as made:
        page = (await made.get("/console/recommendations?term=short&org=7"))[1]
        other = (await made.get("/console/recommendations?term=long"))[1]
    assert "saves 0.25 cores (-50%)" in Read(page).text
    assert "needs 256 MiB more (+50%)" in Read(page).text
    assert f'href="/console/recommendations/{CONTAINER_ID}?term=short&amp;org=7"' in page
    assert "none for this term yet" in Read(other).text


async def test_filters_and_orders_of_recommendations_reach_the_ros_api_and_the_spreadsheet():
    query = "project=shop&cluster=c&term=long&engine=performance&sort=memory_saved"
    async with console(Sources(recommendations=[recommendation()])) as made:
        page = (await made.get(f"/console/recommendations?{query}&offset=50"))[1]
        link = re.findall(r'href="(/console/downloads/recommendations[^"]*)"', page)[0].replace("&amp;", "&")
        async with made.session.get(made.url + link) as response:
            assert response.headers["Content-Disposition"] == 'attachment; filename="recommendations.csv"'
            assert await response.text() == "id,container\n1,=cart\n"
        (_, listed, _), (_, written, _) = made.sources.asked
    order = {
        "project": "shop",
        "cluster": "c",
        "order_by": "memory_variation_long_performance",
        "order_how": "asc",
    }
    assert listed == order | {"cpu-unit": "cores", "memory-unit": "bytes", "limit": "50", "offset": "50"}
    assert written == order | {"format": "csv"}


async def test_a_spreadsheet_that_ros_api_refuses_says_so():
    async with console(Sources(away={"ros_api"})) as made:
        code, page = await made.get("/console/downloads/recommendations")
    assert code == 503
    assert "ros_api answered 403" in page


@pytest.mark.parametrize("query", ["term=odd", "engine=odd", "sort=odd", "offset=-1", "project=%00"])
async def test_what_cannot_be_read_of_recommendations_is_refused_by_name(query):
    async with console(Sources()) as made:
        code, page = await made.get(f"/console/recommendations?{query}")
    assert code == 400
    assert query.partition("=")[0] in page


async def test_a_recommendation_shows_usage_yaml_and_what_was_before():
    sources = Sources(
        recommendations=[recommendation()],
        # The first is another workload of a similar name.
        workloads=[workload(workload_id=8, workload="ok-2"), workload()],
        usage={"ok": [interval(number) for number in range(3)]},
        past=[{"monitoring_end_time": "2026-11-29T12:00:00Z", "recommendations": {
            "recommendation_terms": {"short_term": {"recommendation_engines": {"cost": {"config": config(2, 1 << 30)}}}}
        }}],
    )  # fmt: skip
    async with console(sources) as made:
        page = (await made.get(f"/console/recommendations/{CONTAINER_ID}"))[1]
        (asked,) = [query for path, query, _ in sources.asked if path.endswith("/usage")]
    assert asked == {"points": "240", "container": "ok"}
    text = Read(page).text
    assert "requests:\n    cpu: 250m\n    memory: 768Mi" in text
    assert "For each pod." in text
    assert "recommended limit 768 MiB" in text
    assert "The CPU request already fits the usage" in text
    assert page.count('<svg class="waterfall"') == 2
    assert "2 cores" in text
    assert "1.0 GiB" in text


async def test_a_workload_without_a_recommendation_says_what_is_missing():
    sources = Sources(workloads=[workload(last_poll=None), workload(project="shop")])
    async with console(sources) as made:
        text = Read((await made.get("/console/recommendations/without"))[1]).text
        (asked,) = [query for path, query, _ in sources.asked]
    assert asked == {"has_recommendation": "false", "limit": "50"}
    assert "ros_poller has not asked for it yet" in text
    assert "15 min of usage" in text


async def test_senders_tell_what_they_sent_what_is_left_and_why():
    known = facts("the token is expired")
    made_up = Sources(sendings=[sending("c1", state="given_up", reason="401")], facts=known, opted_out=True)
    async with console(made_up) as made:
        text = Read((await made.get("/console/senders?cluster=c1&state=given_up"))[1]).text
        asked = {path: query for path, query, _ in made_up.asked}
    assert asked["/api/assisted-events/v1/sendings"] == {
        "cluster_id": "c1", "state": "given_up", "limit": "50", "offset": "0",
    }  # fmt: skip
    assert "/api/assisted-events/v1/clusters/c1" in asked
    assert "headrace assisted opt-out c1 --undo" in text
    assert "given up" in text
    assert "5 found, 3 sent, 900 B" in text
    assert "2 files" in text
    assert "the token is expired" in text
    assert "2 the token is expired" in text


async def test_a_sender_that_has_told_nothing_yet_is_not_one_that_is_absent():
    async with console(Sources(facts={"ols_collector": {}, "segment_bridge": {"run": None}})) as made:
        text = Read((await made.get("/console/senders"))[1]).text
    assert "ols_collector runs and has not finished anything" in text
    assert "segment_bridge runs and has not finished anything" in text


async def test_a_rule_is_switched_off_with_a_reason_and_never_without():
    async with console(Sources()) as made:
        path, rule = "/console/clusters/c1?org=7", {"rule_id": "pack.rule.report", "error_key": "KEY"}
        for form in ({}, rule | {"answer": "disable", "justification": " "}, rule | {"answer": "odd"}):
            async with made.session.post(
                made.url + path, data=form, headers={"Origin": made.url}
            ) as response:
                assert response.status == 400
        assert made.sources.decided == []
        form = rule | {"answer": "disable", "justification": "planned"}
        async with made.session.post(
            made.url + path, data=form, headers={"Origin": made.url}, allow_redirects=False
        ) as response:
            assert response.headers["Location"] == "/console/clusters/c1?org=7"
        own = "/api/v1/clusters/c1/rules/pack.rule.report/error_key/KEY/organizations/7"
        assert made.sources.decided == [
            ("PUT", f"{own}/disable", None),
            ("POST", f"{own}/users/console/disable_feedback", {"message": "planned"}),
        ]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**bold** `code`", "<p><strong>bold</strong> <code>code</code></p>\n"),
        ("# large", "<h4>large</h4>\n"),
        ("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>\n"),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>\n"),
        ("[a](/console/redrive)", "<p>[a](/console/redrive)</p>\n"),
        ("[a](https://x)", '<p><a href="https://x" rel="noopener noreferrer">a</a></p>\n'),
        ("![a](https://x)", '<p>!<a href="https://x" rel="noopener noreferrer">a</a></p>\n'),
    ],
)
def test_markdown_has_no_html_of_its_own(text, html):
    assert markdown(text) == html


async def test_filters_are_in_the_address_and_reach_the_tracker():
    query = "request_id=r&cluster=c&service=koku&state=failed&refused=true&since=2026-11-30T10:00&org=7"
    async with console(Sources(payloads=[payload()])) as made:
        page = (await made.get(f"/console/payloads?{query}"))[1]
        (asked,) = [query for path, query, _ in made.sources.asked]
    assert asked == {
        "request_id": "r", "cluster": "c", "service": "koku", "state": "failed", "refused": "true", "org_id": "7",
        "created_since": "2026-11-30T10:00:00+00:00", "limit": "50",
    }  # fmt: skip
    assert 'value="2026-11-30T10:00"' in page


@pytest.mark.parametrize("query", ["state=odd", "since=yesterday", "request_id=%00", "refused=maybe"])
async def test_a_filter_that_cannot_be_read_is_refused_by_name(query):
    async with console(Sources()) as made:
        code, page = await made.get(f"/console/payloads?{query}")
    assert code == 400
    assert query.partition("=")[0] in page


async def test_an_upload_is_passed_on_with_the_type_that_its_members_show():
    sources = Sources()
    async with console(sources) as made:
        data = archive("config/version.json", "config/id")
        code, where = await upload(made, data, org="7", cluster="c9")
        ((headers, content_type, body),) = sources.uploaded
    assert (code, content_type, body) == (303, "application/vnd.redhat.openshift.periodic", data)
    assert where == f"/console/payloads/{headers['x-rh-insights-request-id']}?org=7"


async def upload(made, data, file_name="upload.tar.gz", **fields):
    form = aiohttp.FormData()
    for name, text in fields.items():
        form.add_field(name, text)
    form.add_field("file", io.BytesIO(data), filename=file_name, content_type="application/gzip")
    async with made.session.post(
        made.url + "/console/upload", data=form, headers={"Origin": made.url}, allow_redirects=False
    ) as response:
        return response.status, response.headers.get("Location") or await response.text()


async def test_a_large_upload_arrives_whole():
    sources = Sources()
    data = gzip.compress(b"x") + b"\0" * (5 << 20)
    async with console(sources) as made:
        code, _ = await upload(made, data, type="application/vnd.redhat.advisor.x+tgz")
    assert code == 303
    assert sha256(sources.uploaded[0][2]).digest() == sha256(data).digest()


async def test_a_refusal_shows_what_ingress_says():
    async with console(Sources(refused=(415, "no service accepts <this>"))) as made:
        code, page = await upload(made, archive("config/id"))
    assert code == 422
    assert "ingress answered 415: no service accepts &lt;this&gt;" in page


async def test_an_upload_whose_type_nothing_shows_is_not_sent():
    sources = Sources()
    async with console(sources) as made:
        for data in (b"text", archive("unknown"), b""):
            code, page = await upload(made, data)
            assert (code, "application/vnd.redhat" in page) == (422, True)
    assert sources.uploaded == []


@pytest.mark.parametrize("name", sorted(VENDORED))
def test_files_of_others_are_the_releases_own(name):
    assert sha256((ROOM / "static" / name).read_bytes()).hexdigest() == VENDORED[name]


def test_templates_turn_no_escaping_off_and_have_nothing_inline():
    bad = re.compile(
        r"\|\s*safe\b|autoescape|\bstyle\s*=|\son\w+\s*=|<style|javascript:|hx-on|\bhx-vals=.js|https?://"
    )
    found = [
        (path.name, match.group())
        for path in (ROOM / "templates").iterdir()
        for match in bad.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []
    inline = [
        path.name
        for path in (ROOM / "templates").iterdir()
        if re.search(r"<script(?![^>]*\bsrc=)", path.read_text(encoding="utf-8"))
    ]
    assert inline == []


def test_markup_is_made_in_one_module():
    users = [path.name for path in ROOM.glob("*.py") if "Markup" in path.read_text(encoding="utf-8")]
    assert users in ([], ["markdown.py"])


def test_nothing_of_the_console_is_fetched_from_elsewhere():
    for path in (ROOM / "static").iterdir():
        if path.suffix in {".css", ".js"} and path.name not in VENDORED:
            assert not re.search(r"https?://|//[a-z]+\.", path.read_text(encoding="utf-8")), path.name


async def test_a_first_visit_is_small():
    async with console(filled("ok")) as made:
        size = sum(
            len(file.compressed or file.body)
            for file in pages.files().values()
            if ".LICENSE" not in file.name
        )
        html = len(gzip.compress((await made.get("/console/"))[1].encode()))
    assert (ROOM / "static" / "console.css").stat().st_size <= 14 << 10
    assert size + html <= 80 << 10
    assert html <= 20 << 10


async def test_static_files_are_kept_for_ever_by_their_hash():
    async with console(Sources()) as made:
        (style,) = re.findall(
            r'href="(/console/static/console\.[\w-]+\.css)"', (await made.get("/console/upload"))[1]
        )
        async with made.session.get(made.url + style) as response:
            assert "immutable" in response.headers["Cache-Control"]
            font = re.findall(r'url\("([^"]+)"\)', await response.text())[0]
        assert (await made.session.get(f"{made.url}/console/static/{font}")).status == 200
        assert (await made.get("/console/static/console.css"))[0] == 404
