import pytest

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.errors import InvalidObjectName, ObjectExists, ObjectNotFound, failure
from headrace.objects.store import Part, checksum, digest, multipart_etag
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.settings import EngineSettings


@pytest.mark.parametrize(
    ("url", "address", "access_key", "secret_key"),
    [
        ("http://localhost:9000", "http://localhost:9000", "", ""),
        ("http://key:secret@localhost:9000/", "http://localhost:9000", "key", "secret"),
        ("https://k%2F1:s%40%3A@s3.example", "https://s3.example", "k/1", "s@:"),
        ("http://k:s@[::1]:9000", "http://[::1]:9000", "k", "s"),
    ],
)
def test_a_url_gives_address_and_keys(url: str, address: str, access_key: str, secret_key: str):
    endpoint = S3Endpoint.parse(url)
    assert (endpoint.url, endpoint.access_key, endpoint.secret_key) == (address, access_key, secret_key)


def test_keys_may_come_apart_from_the_url():
    endpoint = S3Endpoint.of(
        EngineSettings(
            s3="http://h:1", s3_access_key="a", s3_secret_key="b", s3_region="r", s3_public="http://p/"
        )
    )
    assert endpoint == S3Endpoint("http://h:1", "a", "b", "r", "http://p")


@pytest.mark.parametrize("url", ["", "localhost:9000", "ftp://h", "http://", "http:///path"])
def test_what_is_no_endpoint_is_named_without_its_secret(url: str):
    with pytest.raises(ConfigurationError, match=r"expected http\(s\)"):
        S3Endpoint.parse(url)
    with pytest.raises(ConfigurationError) as refusal:
        S3Endpoint.parse("ftp://key:geheim@h")
    assert "geheim" not in str(refusal.value)


def test_a_secret_is_not_shown():
    assert "geheim" not in repr(S3Endpoint.parse("http://key:geheim@h"))


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, ObjectNotFound),
        ("", 404, ObjectNotFound),
        ("", 412, ObjectExists),
        ("PreconditionFailed", 412, ObjectExists),
        ("NoSuchBucket", 404, Retryable),
        ("AccessDenied", 403, Retryable),
        ("SlowDown", 503, Retryable),
        ("", 500, Retryable),
        ("KeyTooLongError", 400, InvalidObjectName),
    ],
)
def test_the_class_of_a_failure_says_whether_to_try_again(code: str, status: int, kind: type[Exception]):
    assert type(failure(code, status, "PUT b/k")) is kind


def test_digests_of_pieces_are_those_of_the_whole():
    assert digest([b"ab", b"", b"c"]) == digest(b"abc") == "900150983cd24fb0d6963f7d28e17f72"
    assert checksum([b"ab", b"c"]) == checksum(b"abc") == "NSRBwg=="
    parts = [Part(1, digest(b"a"), ""), Part(2, digest(b"b"), "")]
    assert multipart_etag(parts) == f"{digest(bytes.fromhex(digest(b'a') + digest(b'b')))}-2"
