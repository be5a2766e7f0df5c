"""A receiver of spans (OTLP over HTTP) on loopback, in a thread of its own."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What has been received, by trace."""

    def __init__(self) -> None:
        self.url = ""
        self._spans: dict[str, list[Any]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, body: bytes) -> None:
        """One request of an exporter."""
        with self._lock:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self._spans[span.trace_id.hex()].append(span)

    def traces_of(self, request_id: str) -> list[list[Any]]:
        """The spans of every trace that has to do with a request."""
        with self._lock:
            return [list(spans) for spans in self._spans.values() if request_id in request_ids(spans)]


def request_ids(spans: list[Any]) -> set[str]:
    """The requests that spans name."""
    found = {
        attribute.value.string_value
        for span in spans
        for attribute in span.attributes
        if attribute.key == "request_id"
    }
    return found - {""}


def services_of(spans: list[Any]) -> set[str]:
    """The services whose spans they are: the first word of each name."""
    return {span.name.split()[0] for span in spans}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector while the context lasts."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
