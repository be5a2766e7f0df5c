"""With tracing on, everything that comes of an upload is in its trace, whichever service did it."""

import uuid
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from headrace.cli.uploads import as_organisation
from headrace.samples import KINDS, SampleOptions
from tests.replicas import Cluster
from tests.waiting import eventually

COST = {
    "ingress",
    "archiver",
    "payload_tracker",
    "koku",
    "sources_api",
    "ros_processor",
    "kruize",
    "ros_poller",
}
INSIGHTS = {"ingress", "archiver", "payload_tracker", "rules_engine", "results_aggregator"}


@asynccontextmanager
async def collector():
    """An OTLP receiver on loopback: its URL and the spans by trace."""
    spans = defaultdict(list)

    async def take(request):
        for resource in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    spans[span.trace_id.hex()].append(span)
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", spans
    finally:
        await runner.cleanup()


def request_ids(spans):
    found = {
        attribute.value.string_value
        for span in spans
        for attribute in span.attributes
        if attribute.key == "request_id"
    }
    return found - {""}


async def upload(url, directory, kind):
    path = KINDS[kind].generate(directory, replace(SampleOptions(seed=7), org_id="12345"))[0]
    request_id = uuid.uuid4().hex
    options = SampleOptions(seed=7)
    headers = as_organisation("12345", options.cluster()) | {"x-rh-insights-request-id": request_id}
    form = aiohttp.FormData()
    form.add_field("file", path.read_bytes(), filename=path.name, content_type=KINDS[kind].content_type)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/ingress/v1/upload", data=form, headers=headers) as response,
    ):
        assert response.status == 202
    return request_id


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_one_upload_is_one_trace_across_its_services(tmp_path, record_property):
    async with collector() as (url, spans):
        tracing = {
            "HEADRACE_TRACING": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        async with Cluster(tmp_path, HEADRACE_LENIENT="true", **tracing) as cluster:
            await cluster.add()
            ids = {
                kind: await upload(cluster.url("ingress"), tmp_path, kind) for kind in ("cost", "insights")
            }

            def services(kind):
                (trace,) = [found for found in spans.values() if ids[kind] in request_ids(found)]
                return {span.name.split()[0] for span in trace}

            await eventually(lambda: services("cost") >= COST, within_seconds=60, describe="the cost chain")
            await eventually(
                lambda: services("insights") >= INSIGHTS, within_seconds=60, describe="the rules' chain"
            )
        figures = []
        for kind, request_id in ids.items():
            (trace,) = [found for found in spans.values() if request_id in request_ids(found)]
            assert request_ids(trace) == {request_id}
            roots = [span for span in trace if not span.parent_span_id]
            assert [span.name.split()[0] for span in roots] == ["ingress"]
            known = {span.span_id for span in trace}
            assert all(span.parent_span_id in known for span in trace if span.parent_span_id)
            names = {span.name.split()[0] for span in trace}
            figures.append(f"{kind}: {len(trace)} spans of {len(names)} services in one trace")
        record_property("figures", "\n".join(figures))
