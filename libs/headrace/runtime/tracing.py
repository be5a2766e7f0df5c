"""OpenTelemetry spans around work, off unless asked for; without the SDK installed it costs nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headrace.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_tracer: "Tracer | None" = None


def configure(service: str) -> None:
    """Start exporting by OTLP over HTTP; the standard ``OTEL_*`` variables say where to."""
    global _tracer  # noqa: PLW0603 -- the one process-wide switch
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            f"HEADRACE_TRACING: on, but {error.name} is not installed; expected the extra headrace[tracing]"
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("headrace")


def inject(headers: dict[str, str]) -> dict[str, str]:
    """Add the current span's ``traceparent`` to outgoing headers."""
    if _tracer is not None:
        from opentelemetry import propagate

        propagate.inject(headers)
    return headers


@contextmanager
def span(name: str, headers: Mapping[str, str] | None = None, **attributes: str | int) -> Iterator[None]:
    """A span of our own work, linked to (not a child of) the producer's span named in ``headers``."""
    if _tracer is None:
        yield
        return
    from opentelemetry import propagate, trace

    producer = trace.get_current_span(propagate.extract(headers or {})).get_span_context()
    links = [trace.Link(producer)] if producer.is_valid else []
    with _tracer.start_as_current_span(name, links=links, attributes=attributes):
        yield
