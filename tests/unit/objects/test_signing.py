from datetime import UTC, datetime
from unittest import mock
from urllib.parse import quote

import botocore.auth
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.signing import Signer, quoted

ENDPOINT = S3Endpoint("http://s3.example:9000", "AKIDEXAMPLE", "wJalr/XUtn+FEMI", "eu-west-3")
CREDENTIALS = Credentials(ENDPOINT.access_key, ENDPOINT.secret_key)

keys = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)
methods = st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"])
moments = st.integers(1_440_000_000, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
header_names = st.from_regex(r"x-amz-meta-[a-z0-9-]{1,12}", fullmatch=True) | st.sampled_from(
    ["content-type", "if-none-match", "x-amz-checksum-crc32", "x-amz-copy-source"]
)
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
query_names = st.sampled_from(["partNumber", "uploadId", "prefix", "list-type", "uploads", "X-Custom"])
query_texts = st.text(st.characters(codec="utf-8"), max_size=20)


def at(moment: datetime) -> mock._patch:
    return mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment.replace(tzinfo=None))


@given(
    methods,
    keys,
    st.dictionaries(header_names, header_values),
    st.dictionaries(query_names, query_texts),
    moments,
)
def test_signed_headers_equal_botocores(
    method: str, key: str, headers: dict[str, str], query: dict[str, str], moment: datetime
):
    path = f"/bucket/{quoted(key, safe='/-._~')}"
    text = "&".join(f"{name}={quoted(value)}" for name, value in sorted(query.items()))
    request = AWSRequest(method, f"{ENDPOINT.url}{path}?{text}", headers=dict(headers))
    request.context["payload_signing_enabled"] = False
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    with at(moment), mock.patch.object(S3SigV4Auth, "payload", return_value="UNSIGNED-PAYLOAD"):
        S3SigV4Auth(CREDENTIALS, "s3", ENDPOINT.region).add_auth(request)
    ours = Signer(ENDPOINT).headers(method, "s3.example:9000", path, text, headers, moment)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]


@given(keys, st.integers(1, 604800), moments)
def test_presigned_urls_equal_botocores(key: str, expires_seconds: int, moment: datetime):
    path = f"/bucket/{quoted(key, safe='/-._~')}"
    request = AWSRequest("GET", ENDPOINT.url + path)
    with at(moment):
        S3SigV4QueryAuth(CREDENTIALS, "s3", ENDPOINT.region, expires=expires_seconds).add_auth(request)
    assert Signer(ENDPOINT).url(ENDPOINT.url, path, expires_seconds, moment) == request.url


@given(st.lists(moments, min_size=2, max_size=5))
def test_a_signer_goes_on_into_another_day(at_moments: list[datetime]):
    lasting = Signer(ENDPOINT)
    for moment in at_moments:
        arguments = ("PUT", "h", "/b/k", "", {}, moment)
        assert lasting.headers(*arguments) == Signer(ENDPOINT).headers(*arguments)


@given(st.text(st.characters(codec="utf-8")))
def test_quoting_leaves_only_what_the_rules_leave(text: str):
    assert quoted(text) == quote(text, safe="-._~")
    assert quoted("a b+c/d~é") == "a%20b%2Bc%2Fd~%C3%A9"
