"""What upstream's scripts take in their variables is taken here."""

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import load
from headrace_services.segment_bridge.client import Segment
from headrace_services.segment_bridge.settings import SegmentSettings, SplunkSettings


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("localhost:8089", "http://localhost:8089"),
        ("https://splunk.example.com", "https://splunk.example.com"),
        ("HTTPS://127.0.0.1:8089", "https://127.0.0.1:8089"),
    ],
)
def test_a_url_without_a_scheme_is_http_as_curl_takes_it(monkeypatch, given, url):
    monkeypatch.setenv("SPLUNK_API_URL", given)
    monkeypatch.setenv("SEGMENT_BATCH_API", f"{given}/v1/batch")
    assert load(SplunkSettings).url == url
    assert load(SegmentSettings).url == f"{url}/v1/batch"


@pytest.mark.parametrize("given", ["ftp://localhost", "/localhost"])
def test_another_url_is_refused_by_its_variable(monkeypatch, given):
    monkeypatch.setenv("SPLUNK_API_URL", given)
    with pytest.raises(ConfigurationError, match="SPLUNK_API_URL"):
        load(SplunkSettings)


def test_no_retries_is_one_attempt(monkeypatch):
    monkeypatch.setenv("SEGMENT_RETRIES", "0")
    assert Segment(load(SegmentSettings))._retry.attempts == 1
