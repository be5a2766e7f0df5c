"""Spans link a consumer's work to what its producer did, and cost nothing when they are off."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from headrace.runtime import tracing


@pytest.fixture
def spans(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def test_a_consumers_span_links_to_the_producers(spans):
    with tracing.span("send", topic="t"):
        headers = tracing.inject({"service": "ols"})
    with tracing.span("handle", headers, partition=1):
        pass
    send, handle = spans.get_finished_spans()
    assert headers["traceparent"].split("-")[1] == f"{send.context.trace_id:032x}"
    assert [link.context.span_id for link in handle.links] == [send.context.span_id]
    assert handle.parent is None
    assert handle.attributes["partition"] == 1


def test_work_without_a_producers_span_has_no_link(spans):
    with tracing.span("handle", {"service": "ols"}):
        pass
    (handle,) = spans.get_finished_spans()
    assert list(handle.links) == []


def test_off_means_no_span_and_untouched_headers():
    with tracing.span("handle", {"traceparent": "00-1-1-01"}):
        assert tracing.inject({"service": "ols"}) == {"service": "ols"}
