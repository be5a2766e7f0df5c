"""OpenTelemetry spans. They are off by default and cost nothing without the SDK.

One request is one trace: headers of messages and requests carry the sender's span, which is the parent of the
receiver's.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Literal

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import redact

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

Kind = Literal["internal", "server", "client", "consumer"]

_SHOWN_CHARACTERS: Final = 300

# Replaces a span while spans are off.
OFF: Final = nullcontext()

_tracer: "Tracer | None" = None


def configure(service: str) -> None:
    """Start the export by OTLP over HTTP, configured by the standard ``OTEL_*`` variables."""
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


def is_on() -> bool:
    """Return whether spans are created."""
    return _tracer is not None


def inject(headers: dict[str, str]) -> dict[str, str]:
    """Add the current span's ``traceparent`` to outgoing headers."""
    if _tracer is not None:
        from opentelemetry import propagate

        propagate.inject(headers)
    return headers


def continued(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """Continue the trace in ``headers``, if any, within the block."""
    return OFF if _tracer is None else _attached(headers)


def span(
    name: str,
    headers: Mapping[str, str] | None = None,
    *,
    kind: Kind = "internal",
    **attributes: str | int,
) -> AbstractContextManager[None]:
    """Create a span, a child of the one in ``headers``, else of the current one."""
    return OFF if _tracer is None else _span(_tracer, name, headers or {}, kind, attributes)


def annotate(**attributes: str | int) -> None:
    """Add attributes to the current span."""
    if _tracer is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attributes(attributes)


@contextmanager
def _attached(headers: Mapping[str, str]) -> Iterator[None]:
    from opentelemetry import context, propagate

    token = context.attach(propagate.extract(headers))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def _span(
    tracer: "Tracer", name: str, headers: Mapping[str, str], kind: Kind, attributes: Mapping[str, str | int]
) -> Iterator[None]:
    from opentelemetry import propagate, trace

    with tracer.start_as_current_span(
        name,
        context=propagate.extract(headers),
        kind=trace.SpanKind[kind.upper()],
        attributes=attributes,
        # The text of an exception may contain secrets that a log redacts.
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except Exception as error:
            text = redact(f"{type(error).__name__}: {error}")[:_SHOWN_CHARACTERS]
            current.set_status(trace.Status(trace.StatusCode.ERROR, text))
            raise
