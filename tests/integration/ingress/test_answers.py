"""The whole table of answers, with what clients of upstream rely on."""

import re
from typing import Any

import pytest

from tests.identities import odd
from tests.integration.ingress.harness import (
    BOUNDARY,
    CLUSTER_ID,
    FORM,
    ID_HEADER,
    IDENTITY,
    OLS,
    OPERATOR,
    PREFIXES,
    UPLOAD,
    Ingress,
    b64_identity,
    chunk,
    form,
    new_id,
    part,
    pieces,
    request_head,
    value,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_FILE = "File or upload field not found"
TEXT = "text/plain; charset=utf-8"
GZIP = "application/gzip"


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_an_upload_is_accepted_under_both_prefixes(ingress: Ingress, prefix: str):
    request_id = new_id()
    answer = await ingress.post(part(b"abc"), path=f"{prefix}/upload", **{ID_HEADER: request_id})
    assert answer.status == 202
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.request_id == request_id
    assert answer.text == (
        f'{{"request_id":"{request_id}","upload":{{"account_number":"0000001","org_id":"000001"}}}}'
    )


async def test_what_the_identity_leaves_empty_is_left_out_of_the_answer(ingress: Ingress):
    for identity, owner in (
        (b64_identity(account_number=None), {"org_id": "000001"}),
        (b64_identity(type="Associate", account_number=None, org_id=None), {}),
    ):
        answer = await ingress.post(part(b"abc"), x_rh_identity=identity)
        assert (answer.status, answer.json["upload"]) == (202, owner)


@pytest.mark.parametrize(
    ("parts", "query", "status"),
    [
        ([], "", 201),
        ([value("metadata", "")], "", 201),
        ([part(b"", name="metadata")], "", 202),
        ([value("metadata", "{}")], "", 202),
        ([value("metadata", "not json")], "", 202),
        ([part(b"not json", name="metadata")], "", 202),
        ([], "?metadata=%7B%7D", 202),
        ([], "?metadata=", 201),
    ],
)
async def test_only_advisor_without_metadata_is_answered_201(
    ingress: Ingress, parts: list[bytes], query: str, status: int
):
    assert (await ingress.post(part(b"a", content_type=GZIP), *parts, path=UPLOAD + query)).status == status
    assert (await ingress.post(*parts, part(b"a"), path=UPLOAD + query)).status == 202


@pytest.mark.parametrize(
    ("path", "status", "content_type", "text"),
    [
        ("/", 200, TEXT, "lubdub"),
        ("", 200, TEXT, "lubdub"),
        *[(prefix, 200, TEXT, "lubdub") for prefix in PREFIXES],
        *[(f"{prefix}/", 200, TEXT, "lubdub") for prefix in PREFIXES],
        ("/nothing", 404, TEXT, "404 page not found\n"),
        (f"{PREFIXES[0]}/nothing", 404, TEXT, "404 page not found\n"),
        (f"{PREFIXES[0]}/upload/", 404, TEXT, "404 page not found\n"),
        ("/download/x", 404, TEXT, "404 page not found\n"),
        ("/debug/pprof", 404, TEXT, "404 page not found\n"),
        ("/metrics", 404, TEXT, "404 page not found\n"),
    ],
)
async def test_pages(ingress: Ingress, path: str, status: int, content_type: str, text: str):
    answer = await ingress.get(path)
    assert (answer.status, answer.headers["Content-Type"], answer.text) == (status, content_type, text)
    assert re.fullmatch("[0-9a-f]{32}", answer.request_id)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_version_and_openapi_are_for_everybody(ingress: Ingress, prefix: str):
    version = await ingress.get(f"{prefix}/version", **{"x-rh-identity": ""})
    assert (version.status, version.headers["Content-Type"]) == (200, "application/json")
    assert version.json.keys() == {"version", "commit"}
    assert version.json["version"]
    openapi = await ingress.get(f"{prefix}/openapi.json", **{"x-rh-identity": ""})
    assert openapi.json["openapi"] == "3.1.0"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", "GET"),
        (PREFIXES[0], "GET"),
        (UPLOAD, "POST"),
        (f"{PREFIXES[1]}/version", "GET"),
        (f"{PREFIXES[0]}/track/x", "GET"),
    ],
)
async def test_a_wrong_method_is_told_the_right_one(ingress: Ingress, method: str, path: str, allowed: str):
    answer = await ingress.request(method, path)
    assert (answer.status, answer.headers["Allow"], answer.body) == (405, allowed, b"")
    assert answer.request_id


async def test_get_upload_is_405(ingress: Ingress):
    assert (await ingress.get(UPLOAD)).headers["Allow"] == "POST"


@pytest.mark.parametrize("path", [*PREFIXES, f"{PREFIXES[0]}/", UPLOAD, f"{PREFIXES[0]}/track/abc"])
@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("", "missing x-rh-identity header"),
        ("%%%", "unable to b64 decode x-rh-identity header"),
        ("bm8ganNvbg==", "x-rh-identity header does not contain valid JSON: "),
        (b64_identity(org_id=None), "x-rh-identity header has an invalid or missing org_id"),
        (b64_identity(org_id=1), "x-rh-identity header does not contain valid JSON: identity.org_id: "),
        (b64_identity(type=None), "x-rh-identity header is missing type"),
    ],
)
@pytest.mark.row(9)
async def test_a_bad_identity_is_refused_with_upstreams_text(
    ingress: Ingress, path: str, header: str, text: str
):
    method = "POST" if path == UPLOAD else "GET"
    answer = await ingress.request(method, path, headers={"x-rh-identity": header, "Content-Type": FORM})
    assert answer.status == 400
    assert answer.text.startswith(f"Bad Request: {text}")
    assert answer.text.endswith("\n")
    assert answer.headers["Content-Type"] == TEXT
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.request_id


async def sources(ingress: Ingress, request_id: str) -> set[str]:
    """Of what was reported of a request; of refusals only some are."""
    return {status["source"] for status in await ingress.statuses(request_id)}


@pytest.mark.parametrize(
    ("query", "content_type", "body", "status"),
    [
        ("", "application/x-www-form-urlencoded", b"test=test", 200),
        ("", "application/x-www-form-urlencoded", b"a=b&test=test", 200),
        ("", "application/x-www-form-urlencoded", b"test=no", 400),
        ("", "application/x-www-form-urlencoded", b"t%65st=%74es%74", 200),
        ("", "application/x-www-form-urlencoded; charset=utf-8", b"a&test=test", 200),
        ("", "Application/X-WWW-Form-URLEncoded", b"test=test", 200),
        ("", "application/x-www-form-urlencodedx", b"test=test", 400),
        ("?test=test", "application/x-www-form-urlencoded", b"test=no", 400),
        ("?test=no", "application/x-www-form-urlencoded", b"test=test", 200),
        ("?%74est=te%73t", "", b"", 200),
        ("?test=no&test=test", "", b"", 400),
        ("?test=test", FORM, form(part(b"abc")), 200),
        ("?a=b&test=test", "", b"", 200),
        ("?test=no", "", b"", 400),
        ("", FORM, form(value("test", "test")), 400),
        ("", "application/json", b'{"test":"test"}', 200),
        ("", "application/json", b'xx {\n "test" :\t"test" } yy', 200),
        ("", "application/json", b'{"test": "no"}', 400),
        ("", "application/json", b"", 400),
        ("", "application/json", b" " * (1 << 20) + b'{"test":"test"}', 400),
        ("", "application/json; charset=utf-8", b'{"test":"test"}', 400),
    ],
)
async def test_a_connectivity_test_stores_and_announces_nothing(
    ingress: Ingress, query: str, content_type: str, body: bytes, status: int
):
    request_id = new_id()
    headers = {"Content-Type": content_type, ID_HEADER: request_id}
    answer = await ingress.request("POST", UPLOAD + query, data=body, headers=headers)
    assert answer.status == status
    if status == 200:
        assert answer.json == {
            "request_id": request_id,
            "upload": {"account_number": "0000001", "org_id": "000001"},
        }
    else:
        assert answer.text.startswith(NO_FILE)
    assert await ingress.left_nothing(request_id)
    assert await sources(ingress, request_id) <= ({"refused"} if status == 400 else set())


async def test_a_connectivity_test_needs_an_identity_and_comes_before_the_deny_list(ingress: Ingress):
    path = f"{UPLOAD}?test=test"
    assert (await ingress.request("POST", path, headers={"x-rh-identity": ""})).status == 400
    denied = {"x-rh-identity": b64_identity(org_id="666")}
    assert (await ingress.request("POST", path, headers=denied)).status == 200


@pytest.mark.parametrize("org_id", ["666", "667"])
async def test_a_denied_organisation_gets_403(ingress: Ingress, org_id: str):
    answer = await ingress.post(part(b"abc"), x_rh_identity=b64_identity(org_id=org_id))
    assert (answer.status, answer.text) == (403, "Upload denied. Please contact Red Hat Support.")
    assert answer.headers["Content-Type"] == TEXT


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(), FORM),
        (form(value("file", "abc")), FORM),
        (form(part(b"abc", name="document")), FORM),
        (form(part(b"abc", filename=None)), FORM),
        (form(part(b"abc"))[:-20], FORM),
        (form(part(b"abc")), FORM.replace("bOuNdArY", "other")),
        (form(part(b"abc")), "multipart/form-data"),
        (form(part(b"abc")), "multipart/form-data; boundary=\udcff"),
        (form(part(b"abc")), "text/plain"),
        (b"", FORM),
        (b"", ""),
    ],
)
async def test_a_body_without_a_file_gets_400(ingress: Ingress, body: bytes, content_type: str):
    request_id = new_id()
    head = request_head(request_id, f"Content-Length: {len(body)}", "Connection: close", content_type="X-X-X")
    head = head.replace(b"X-X-X", content_type.encode(errors="surrogateescape"))
    answer = await ingress.raw(head, body)
    assert answer.status == 400
    assert answer.text.startswith(NO_FILE)
    assert answer.request_id == request_id
    assert await ingress.left_nothing(request_id)


async def test_empty_bodies_do_not_stop_the_service(ingress: Ingress):
    for _ in range(3):
        head = request_head(new_id(), "Content-Length: 0", "Connection: close")
        assert (await ingress.raw(head)).status == 400
        assert (await ingress.raw(head.replace(b"Content-Length: 0", b"X: y"))).status == 400


async def test_the_error_names_the_parts_that_were_found(ingress: Ingress):
    answer = await ingress.post(part(b"abc", name="document"), value("file", "x"))
    assert answer.text == f"{NO_FILE}: the parts found are: document, file"


@pytest.mark.parametrize(
    ("parts", "taken"),
    [
        ([part(b"f"), part(b"u", name="upload")], b"f"),
        ([part(b"u", name="upload"), part(b"f")], b"f"),
        ([part(b"u", name="upload")], b"u"),
        ([part(b"u", name="upload"), part(b"v", name="upload")], b"u"),
        ([part(b"f"), part(b"g")], b"f"),
        ([part(b"u", name="upload", content_type="text/plain"), part(b"f")], b"f"),
        ([part(b"u" * 6_000_000, name="upload"), part(b"f")], b"f"),
        ([value("upload", "x"), part(b"x", name="other"), part(b"f")], b"f"),
        ([part(b"")], b""),
    ],
    ids=range(9),
)
async def test_file_comes_before_upload_whatever_their_order(
    ingress: Ingress, parts: list[bytes], taken: bytes
):
    request_id = new_id()
    answer = await ingress.post(*parts, **{ID_HEADER: request_id})
    assert answer.status == 202
    announcement = await ingress.announcement(request_id)
    assert announcement["size"] == len(taken)
    async with ingress.store.get(ingress.bucket, announcement["object_key"]) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == taken
    assert await ingress.objects(request_id) == [request_id]
    assert request_id not in await ingress.unfinished()


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        ("application/octet-stream", "Unsupported content type 'application/octet-stream'"),
        (None, "Unsupported content type ''"),
        ("application/x-gzip", "Unsupported content type"),
        ("application/vnd.redhat.hccm", "Unsupported content type"),
        ("application/vnd.redhat.unknown.x+tgz", "Unsupported service 'unknown'"),
        ("application/vnd.redhat." + "x" * 3000 + ".y", "Unsupported service 'xxx"),
    ],
)
@pytest.mark.parametrize("name", ["file", "upload"])
async def test_a_type_that_no_service_takes_gets_415_with_the_reason(
    ingress: Ingress, content_type: str | None, reason: str, name: str
):
    request_id = new_id()
    sent = part(b"x" * 200_000, name=name, content_type=content_type)
    answer = await ingress.post(sent, **{ID_HEADER: request_id})
    assert answer.status == 415
    assert answer.text.startswith(reason)
    assert len(answer.text) < 400
    assert await ingress.left_nothing(request_id)
    assert await sources(ingress, request_id) <= {"refused"}


@pytest.mark.parametrize(("service", "limit"), [("qpc", 1000), ("ols", 8_000_000), ("tower", 12_000_000)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_file_over_its_services_limit_gets_413_with_that_limit(
    ingress: Ingress, service: str, limit: int, chunked: bool
):
    content_type = f"application/vnd.redhat.{service}.x+tgz"
    for size, status in ((limit, 202), (limit + 1, 413)):
        request_id = new_id()
        body: Any = form(part(b"x" * size, content_type=content_type))
        if chunked:
            body = pieces(body)
        headers = {"Content-Type": FORM, ID_HEADER: request_id}
        answer = await ingress.request("POST", UPLOAD, data=body, headers=headers)
        assert answer.status == status
        if status == 413:
            assert f"File exceeds maximum file size ({limit}) for upload: " in answer.text
            assert await ingress.left_nothing(request_id)
        else:
            assert (await ingress.announcement(request_id))["size"] == limit


@pytest.mark.parametrize(
    "body",
    [
        form(part(b"abc")).replace(b"\r\n", b"\n"),
        form(part(b"abc")).replace(BOUNDARY.encode() + b"\r\n", BOUNDARY.encode() + b" \r\n"),
        form(part(b"abc").replace(b"filename=", b"filename*=utf-8''a%20").replace(b'"a.tgz"', b"b.tgz")),
        form(part(b"abc").replace(b"a.tgz", b"caf\xe9.tgz")),
        form(b"--" + BOUNDARY.encode() + b"\r\n\r\nforeign\r\n", part(b"abc")),
        form(
            part(b"=61bc").replace(
                b"Content-Type", b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type"
            )
        ),
        form(part(b"abc").replace(b"Content-Type", b"X: " + b"y" * 20_480 + b"\r\nContent-Type")),
        form(part(b"abc", content_type=f"{OLS} ")),
    ],
    ids=range(8),
)
async def test_an_odd_form_that_upstream_takes_is_stored_and_announced(ingress: Ingress, body: bytes):
    headers = {"Content-Type": FORM, ID_HEADER: new_id()}
    answer = await ingress.request("POST", UPLOAD, data=body, headers=headers)
    assert (answer.status, answer.text[:13]) == (202, '{"request_id"')
    announcement = await ingress.announcement(answer.request_id)
    assert (announcement["content_type"], announcement["size"]) == (OLS, 3)


async def test_no_exceptions_text_reaches_a_client(ingress: Ingress):
    for broken in (b'filename="\xff', b"filename=\xff", b"filename*=\xff''a"):
        answer = await ingress.post(part(b"abc").replace(b'filename="a.tgz"', broken))
        assert (answer.status, answer.text) == (400, f"{NO_FILE}: the parts found are: none")


async def test_a_chunked_upload_needs_no_length(ingress: Ingress):
    request_id = new_id()
    body = form(part(b"x" * 300_000, content_type="application/vnd.redhat.openshift.periodic"))
    headers = {"Content-Type": FORM, ID_HEADER: request_id}
    answer = await ingress.request("POST", UPLOAD, data=pieces(body), headers=headers)
    assert answer.status == 202
    assert (await ingress.announcement(request_id))["size"] == 300_000


@pytest.mark.parametrize("name", [ID_HEADER, "x-rh-request-id", "x-rh-request_id"])
async def test_a_request_id_comes_back_whichever_header_it_came_in(ingress: Ingress, name: str):
    request_id = f"test-request-{new_id()}"
    answer = await ingress.post(part(b"abc"), **{name: request_id})
    assert (answer.status, answer.request_id, answer.json["request_id"]) == (202, request_id, request_id)
    assert (await ingress.announcement(request_id))["object_key"] == request_id


async def test_an_id_is_made_where_none_was_sent(ingress: Ingress):
    answer = await ingress.post(part(b"abc"))
    assert re.fullmatch("[0-9a-f]{32}", answer.request_id)
    assert (await ingress.announcement(answer.request_id))["request_id"] == answer.request_id


@pytest.mark.parametrize("request_id", ["../x", "a//b", "a b", "x" * 201, "a?b", "-x", "a%2f", "é"])
@pytest.mark.parametrize(("method", "path"), [("POST", UPLOAD), ("GET", "/"), ("GET", "/nothing")])
async def test_an_id_that_is_no_key_is_refused(ingress: Ingress, request_id: str, method: str, path: str):
    headers = {ID_HEADER: request_id, "Content-Type": FORM}
    answer = await ingress.request(method, path, data=form(part(b"abc")), headers=headers)
    assert answer.status == 400
    assert answer.text.startswith("Bad Request: the request id is not valid")
    assert re.fullmatch("[0-9a-f]{32}", answer.request_id)
    assert await ingress.left_nothing(answer.request_id)


@pytest.mark.row(9)
@pytest.mark.parametrize("second", [b64_identity(org_id="2"), IDENTITY, ""])
async def test_two_identities_in_one_request_are_refused(ingress: Ingress, second: str):
    body, request_id = form(part(b"abc")), new_id()
    length = f"Content-Length: {len(body)}"
    answer = await ingress.raw(request_head(request_id, length, f"X-RH-Identity: {second}"), body)
    assert answer.status == 400
    assert answer.text == "Bad Request: the request has more than one x-rh-identity header\n"
    assert await ingress.left_nothing(request_id)


@pytest.mark.row(9)
@pytest.mark.parametrize("what", odd("1001", "2002"))
async def test_an_odd_identity_is_refused_with_400_and_leaves_nothing(ingress: Ingress, what: str):
    body, request_id = form(part(b"abc")), new_id()
    sent = odd("1001", "2002")[what].getall("x-rh-identity")
    lines = [f"x-rh-identity: {value}" for value in sent]
    head = request_head(request_id, f"Content-Length: {len(body)}", *lines, identity=None)
    answer = await ingress.raw(head, body)
    # One that names an organisation of its own, however odd, may be that one's.
    if answer.status == 202:
        announcement = await ingress.announcement(request_id)
        assert announcement["org_id"] != "1001"
        return
    assert answer.status == 400
    assert await ingress.left_nothing(request_id)


async def test_a_token_that_is_no_text_is_refused(ingress: Ingress):
    body, request_id = form(part(b"abc")), new_id()
    lines = [f"Content-Length: {len(body)}", "Authorization: Bearer \udcff", f"User-Agent: {OPERATOR}"]
    answer = await ingress.raw(request_head(request_id, *lines, identity=None), body)
    assert (answer.status, answer.text) == (400, "Bad Request: Invalid authorization header\n")


@pytest.mark.row(9)
async def test_an_identity_longer_than_the_limit_is_refused(ingress: Ingress):
    answer = await ingress.request(
        "GET", PREFIXES[0], headers={"x-rh-identity": b64_identity(x="y" * 30_000)}
    )
    assert answer.status == 400
    fits = b64_identity(x="y" * 16_000)
    assert (await ingress.post(part(b"abc"), x_rh_identity=fits)).status == 202


async def test_a_token_that_nobody_knows_is_refused_by_a_strict_ingress(ingress: Ingress):
    agent = f"insights-operator/1 cluster/{CLUSTER_ID}"
    headers = {"x-rh-identity": "", "Authorization": "Bearer abc", "User-Agent": agent}
    answer = await ingress.request("GET", PREFIXES[0], headers=headers)
    assert (answer.status, answer.text) == (401, "Unauthorized: Could not authenticate\n")
    answer = await ingress.request("GET", PREFIXES[0], headers=headers | {"User-Agent": "x"})
    assert (answer.status, answer.text) == (401, "Unauthorized: Could not authenticate\n")
    answer = await ingress.request("GET", PREFIXES[0], headers=headers | {"Authorization": "x"})
    assert (answer.status, answer.text) == (400, "Bad Request: Invalid authorization header\n")


async def test_expect_continue_as_curl_sends_it(ingress: Ingress):
    request_id = new_id()
    body = form(part(b"x" * 100_000))
    head = request_head(request_id, f"Content-Length: {len(body)}", "Expect: 100-continue")
    answer = await ingress.raw(head, body)
    assert answer.status == 100
    assert await _eventually_announced(ingress, request_id)


async def _eventually_announced(ingress: Ingress, request_id: str) -> Any:
    from tests.waiting import eventually

    return await eventually(lambda: ingress.announced(request_id))


@pytest.mark.parametrize("encoding", ["gzip, chunked", "identity, chunked", "gzip,Chunked"])
async def test_a_body_in_a_further_transfer_encoding_is_refused_as_go_does(ingress: Ingress, encoding: str):
    request_id = new_id()
    body = chunk(form(part(b"abc"))) + chunk(b"")
    answer = await ingress.raw(request_head(request_id, f"Transfer-Encoding: {encoding}"), body)
    assert (answer.status, answer.text) == (501, "Unsupported transfer encoding")
    assert answer.headers["Connection"] == "close"
    assert await ingress.left_nothing(request_id)


@pytest.mark.parametrize(
    ("parts", "query", "fqdn"),
    [
        ([value("metadata", '{"fqdn": "part"}')], "?metadata=%7B%22fqdn%22%3A%22query%22%7D", "query"),
        ([value("metadata", '{"fqdn": "part"}')], "?metadata=", None),
        ([part(b'{"fqdn": "file"}', name="metadata")], "?metadata=%7B%22fqdn%22%3A%22query%22%7D", "file"),
        ([], "?metadata=%7B%22fqdn%22%3A%22query%22%7D", "query"),
    ],
)
async def test_metadata_is_a_files_then_the_querys_then_a_parts(
    ingress: Ingress, parts: list[bytes], query: str, fqdn: str | None
):
    answer = await ingress.post(*parts, part(b"abc"), path=UPLOAD + query)
    announcement = await ingress.announcement(answer.request_id)
    assert announcement["metadata"].get("fqdn") == fqdn


async def test_content_encoding_is_not_undone(ingress: Ingress):
    request_id = new_id()
    answer = await ingress.post(part(b"abc"), Content_Encoding="gzip", **{ID_HEADER: request_id})
    assert answer.status == 202
    assert (await ingress.announcement(request_id))["size"] == 3
