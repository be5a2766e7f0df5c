"""From the upload to its archive."""

import json
import re

import aiohttp

from steps.flow import IDENTITY, ORG_ID, REQUEST_ID, Flow, appears, expect

STAGE_BUCKET = "insights-upload-perma"
ANNOUNCE, SOURCES, SYNCED = "platform.upload.announce", "platform.sources.event-stream", "ccx.archive.synced"
ROS_EVENTS, RECOMMENDATIONS = "hccm.ros.events", "rosocp.kruize.recommendations"
S3_HEALTH_PATHS = ("/minio/health/live", "/healthz")


async def ingress_is_healthy(flow: Flow) -> None:
    status, body = await flow.get(f"{flow.urls['ingress']}/api/ingress/v1/version")
    expect(status == 200 and "version" in json.loads(body), f"answered {status}: {body[:200]!r}")


async def object_store_is_healthy(flow: Flow) -> None:
    address = flow.objects.endpoint.url
    answers = {path: (await flow.get(address + path))[0] for path in S3_HEALTH_PATHS}
    expect(200 in answers.values(), f"{address} answered {answers}")


async def tracker_is_healthy(flow: Flow) -> None:
    status, body = await flow.get(f"{flow.urls['tracker']}/health")
    expect(status == 200, f"answered {status}: {body[:200]!r}")


async def kafka_is_listened_to(flow: Flow) -> None:
    for topic in (ANNOUNCE, SOURCES, SYNCED, ROS_EVENTS, RECOMMENDATIONS):
        await flow.listen(topic)
    flow.known_statuses = {row["id"] for row in await flow.statuses()}


async def upload_is_accepted(flow: Flow) -> None:
    form = aiohttp.FormData()
    form.add_field(
        "file",
        flow.archive_file.read_bytes(),
        filename=flow.archive_file.name,
        content_type="application/octet-stream",
    )
    headers = {"x-rh-identity": IDENTITY, "x-rh-request-id": REQUEST_ID}
    url = f"{flow.urls['ingress']}/api/ingress/v1/upload"
    async with flow.http.post(url, data=form, headers=headers) as response:
        body = await response.read()
    expect(response.status == 202, f"answered {response.status}: {body[:200]!r}")
    expect(json.loads(body)["request_id"] == REQUEST_ID, f"answered {body!r}")


async def upload_is_announced(flow: Flow) -> None:
    flow.announcement = await flow.message(ANNOUNCE)
    seen = {name: flow.announcement.get(name) for name in ("service", "size", "org_id", "b64_identity")}
    wanted = {
        "service": "hccm",
        "size": flow.archive_file.stat().st_size,
        "org_id": ORG_ID,
        "b64_identity": IDENTITY,
    }
    expect(seen == wanted, f"announced {seen}, expected {wanted}")


async def sources_topic_has_the_copy(flow: Flow) -> None:
    copy = await flow.message(SOURCES)
    expect(copy == flow.announcement, f"{copy} differs from {flow.announcement}")


async def upload_is_staged(flow: Flow) -> None:
    bucket = flow.announcement.get("bucket", STAGE_BUCKET)
    expect(bucket == STAGE_BUCKET, f"the bucket is {bucket}")
    found = await flow.stored(bucket, flow.announcement.get("object_key", REQUEST_ID))
    expect(found == flow.archive_file.read_bytes(), f"{bucket} holds {len(found)} other bytes")


async def announced_url_reads_the_upload(flow: Flow) -> None:
    status, body = await flow.get(flow.announcement["url"])
    expect(
        status == 200 and body == flow.archive_file.read_bytes(), f"answered {status} with {len(body)} bytes"
    )


async def archiver_is_done(flow: Flow) -> None:
    await flow.tracked(("ingress", "received"), ("ingress", "success"), ("archiver", "success"))


async def archive_is_in_the_layout(flow: Flow) -> None:
    url = f"{flow.urls['archiver']}/api/archives/v1/archives?request_id={REQUEST_ID}"
    cluster = re.escape(flow.cluster_id)
    pattern = rf"archives/compressed/{flow.cluster_id[:2]}/{cluster}/\d{{6}}/\d{{2}}/\d{{6}}\.tar\.gz"

    async def not_there() -> str:
        rows = (await flow.json(url, **{"x-rh-identity": IDENTITY}))["data"]
        flow.archive = next((row for row in rows[::-1] if re.fullmatch(pattern, row["key"])), {})
        return "" if flow.archive else f"no key like {pattern} among {[row['key'] for row in rows]}"

    await appears(not_there)
    found = await flow.stored(flow.archive["bucket"], flow.archive["key"])
    expect(found == flow.archive_file.read_bytes(), f"the archive holds {len(found)} other bytes")


async def archive_is_told_of(flow: Flow) -> None:
    message = await flow.message(SYNCED, of_cluster=True)
    seen = (message["path"], message["metadata"]["cluster_id"])
    wanted = (flow.archive["key"], flow.cluster_id)
    expect(seen == wanted, f"told of {seen}, expected {wanted}")


STEPS = (
    ("ingress", ingress_is_healthy),
    ("s3", object_store_is_healthy),
    ("payload_tracker", tracker_is_healthy),
    ("kafka", kafka_is_listened_to),
    ("ingress", upload_is_accepted),
    ("ingress", upload_is_announced),
    ("ingress", sources_topic_has_the_copy),
    ("ingress", upload_is_staged),
    ("s3", announced_url_reads_the_upload),
    ("archiver", archiver_is_done),
    ("archiver", archive_is_in_the_layout),
    ("archiver", archive_is_told_of),
)
