"""A consumer's span belongs to its producer's trace; off, there are none."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from headrace.runtime import tracing


@pytest.fixture
def spans(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def test_a_consumers_span_is_a_child_of_the_producers(spans):
    with tracing.span("send", topic="t"):
        headers = tracing.inject({"service": "ols"})
    with tracing.span("handle", headers, kind="consumer", partition=1):
        pass
    send, handle = spans.get_finished_spans()
    assert headers["traceparent"].split("-")[1] == f"{send.context.trace_id:032x}"
    assert handle.parent.span_id == send.context.span_id
    assert handle.kind is SpanKind.CONSUMER
    assert handle.attributes["partition"] == 1


def test_work_without_a_producers_span_begins_a_trace(spans):
    with tracing.span("handle", {"service": "ols"}):
        tracing.annotate(request_id="r")
    (handle,) = spans.get_finished_spans()
    assert handle.parent is None
    assert handle.attributes["request_id"] == "r"


def test_what_is_sent_beside_the_work_belongs_to_the_senders_trace(spans):
    with tracing.span("send"):
        headers = tracing.inject({})
    with tracing.continued(headers):
        onward = tracing.inject({})
    assert onward["traceparent"] == headers["traceparent"]
    assert tracing.inject({}) == {}


def test_a_failure_is_told_without_what_no_log_may_hold(spans):
    with pytest.raises(ValueError, match="X-Amz"), tracing.span("handle"):
        raise ValueError("cannot read http://s3/a?X-Amz-Signature=0123456789abcdef")
    (handle,) = spans.get_finished_spans()
    assert handle.status.status_code is StatusCode.ERROR
    assert handle.status.description.startswith("ValueError: cannot read")
    assert "0123456789abcdef" not in handle.status.description
    assert list(handle.events) == []


def test_off_means_no_span_and_untouched_headers():
    assert not tracing.is_on()
    tracing.annotate(request_id="r")
    with (
        tracing.continued({"traceparent": "00-1-1-01"}),
        tracing.span("handle", {"traceparent": "00-1-1-01"}),
    ):
        assert tracing.inject({"service": "ols"}) == {"service": "ols"}
