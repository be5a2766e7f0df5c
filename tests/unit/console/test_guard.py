"""Who may look, and from where a change may come."""

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace_services.console.guard import check_start, host_name
from tests import identities
from tests.unit.console.made import DLQ, Sources, console, letter, payload

OPERATORS = ("/console/", "/console/senders", "/console/topics", "/console/dead-letters",
             "/console/topics/ccx.ocp.results",
             f"/console/dead-letters/{DLQ}/0/3", f"/console/redrive?letter={DLQ}:0:3",
             f"/console/downloads/dead-letter/{DLQ}/0/3")  # fmt: skip
TENANT = identities.user("1")
ASSOCIATE = {"type": "Associate", "associate": {"Role": ["headrace-operator"], "email": "a@example.com"}}
OPERATOR = identities.identity(**ASSOCIATE)
PLAIN_ASSOCIATE = identities.identity(type="Associate", associate={"Role": ["other"]})


@pytest.mark.parametrize(
    ("host", "name"),
    [("localhost:8010", "localhost"), ("[::1]:80", "::1"), ("A.Example", "a.example"), ("[", ""), ("", "")],
)
def test_host_names(host, name):
    assert host_name(host) == name


def test_without_a_login_it_listens_on_loopback_only():
    with pytest.raises(ConfigurationError, match=r"HEADRACE_HOST: got '192\.0\.2\.1'"):
        check_start(lenient=True, host="192.0.2.1", lenient_anywhere=False)
    check_start(lenient=True, host="192.0.2.1", lenient_anywhere=True)
    check_start(lenient=True, host="127.0.0.1", lenient_anywhere=False)
    check_start(lenient=False, host="192.0.2.1", lenient_anywhere=False)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", ""])
async def test_a_name_that_leads_here_from_elsewhere_is_refused(host):
    async with console(Sources(), hosts=frozenset({"console.example"})) as made:
        assert (await made.get("/console/payloads", Host=host))[0] == 421
        for known in ("localhost", "127.0.0.1:99", "[::1]:8010", "console.example"):
            assert (await made.get("/console/payloads", Host=known))[0] == 200


CHANGES = ("/console/redrive", "/console/upload", "/console/clusters/c1")


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
    ],
)
async def test_a_change_that_another_site_sends_is_refused(path, headers):
    async with console(Sources(letters=[letter()])) as made:
        sent = {name: text.format(own=made.url) for name, text in headers.items()}
        async with made.session.post(
            made.url + path, data={"letter": f"{DLQ}:0:3"}, headers=sent
        ) as response:
            assert response.status == 403
        assert (made.sources.redriven, made.sources.decided) == ([], [])


@pytest.mark.parametrize("headers", [{"Origin": "{own}"}, {"Sec-Fetch-Site": "same-origin"}])
async def test_a_change_of_its_own_page_is_made(headers):
    async with console(Sources(letters=[letter()])) as made:
        sent = {name: text.format(own=made.url) for name, text in headers.items()}
        async with made.session.post(
            made.url + "/console/redrive", data={"letter": f"{DLQ}:0:3"}, headers=sent, allow_redirects=False
        ) as response:
            assert (response.status, response.headers["Location"]) == (
                303,
                "/console/dead-letters?redriven=1",
            )
        assert made.sources.redriven == [[(DLQ, 0, 3)]]


async def test_a_change_that_another_service_refuses_says_why():
    async with console(Sources(away={"results_aggregator"})) as made:
        form = {"rule_id": "pack.rules.nodes", "error_key": "SMALL", "answer": "enable"}
        async with made.session.post(
            made.url + "/console/clusters/c1?org=1", data=form, headers={"Origin": made.url}
        ) as response:
            assert response.status == 502
            page = await response.text()
        assert "results_aggregator" in page
        assert "no access" in page


async def test_no_get_changes_anything():
    async with console(Sources(letters=[letter()], payloads=[payload()])) as made:
        for path in (*OPERATORS, "/console/payloads", "/console/payloads/r1", "/console/upload"):
            await made.get(path)
        assert (made.sources.redriven, made.sources.uploaded) == ([], [])


async def test_every_answer_has_the_headers_that_protect_it():
    async with console(Sources()) as made:
        for path in ("/console/payloads", "/console/nothing", "/console/upload", "/console/openapi.json"):
            async with made.session.get(made.url + path) as response:
                policy = response.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'")
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Cache-Control"] == "no-store"


async def test_without_an_identity_nobody_looks():
    async with console(Sources(payloads=[payload()]), lenient=False) as made:
        for path in (*OPERATORS, "/console/payloads", "/console/payloads/r1", "/console/upload",
                     "/console/events?topics=payloads", "/console/downloads/payload/r1"):  # fmt: skip
            assert (await made.get(path))[0] == 401, path


async def test_a_tenant_sees_its_payloads_and_nothing_of_the_installation():
    async with console(Sources(payloads=[payload()], letters=[letter()]), lenient=False) as made:
        for path in OPERATORS[1:]:
            assert (await made.get(path, x_rh_identity=TENANT))[0] == 403, path
        assert (await made.get("/console/", x_rh_identity=TENANT))[0] == 302
        status, page = await made.get("/console/payloads/r1?org=2", x_rh_identity=TENANT)
        assert status == 200
        assert "Dead letters" not in page
        # The tracker judges by the identity that came, not by what the address says.
        assert {identity for _, _, identity in made.sources.asked} == {TENANT}
        async with made.session.post(
            made.url + "/console/redrive",
            data={"letter": f"{DLQ}:0:3"},
            headers={"x-rh-identity": TENANT, "Origin": made.url},
        ) as response:
            assert response.status == 403
        assert made.sources.redriven == []


async def test_an_upload_that_is_not_only_the_tenants_is_not_shown():
    shared = [payload(), payload(org_id="2")]
    async with console(Sources(payloads=shared, object=b"secret"), lenient=False) as made:
        status, page = await made.get("/console/downloads/payload/r1", x_rh_identity=TENANT)
        assert (status, "secret" in page) == (404, False)
        assert "Download" not in (await made.get("/console/payloads/r1", x_rh_identity=TENANT))[1]


async def test_an_operator_needs_the_role_and_sees_everything():
    async with console(Sources(payloads=[payload()], letters=[letter()]), lenient=False) as made:
        assert (await made.get("/console/", x_rh_identity=PLAIN_ASSOCIATE))[0] == 403
        for path in OPERATORS[:4]:
            assert (await made.get(path, x_rh_identity=OPERATOR))[0] == 200, path


async def test_a_download_opens_in_no_browser():
    async with (
        console(Sources(payloads=[payload()], object=b"<script>")) as made,
        made.session.get(made.url + "/console/downloads/payload/r1") as response,
    ):
        assert await response.read() == b"<script>"
        assert response.content_type == "application/octet-stream"
        assert response.headers["Content-Disposition"] == 'attachment; filename="r1.bin"'
        assert response.headers["X-Content-Type-Options"] == "nosniff"
