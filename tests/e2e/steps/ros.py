"""From the upload, or from a CSV put into the bucket by hand, to recommendations: the steps of the ROS document."""

import json
import uuid
from typing import Any
from urllib.parse import quote

from aiokafka import AIOKafkaProducer

from steps.flow import IDENTITY, ORG_ID, REQUEST_ID, Flow, appears, expect
from steps.upload import RECOMMENDATIONS, ROS_EVENTS

ROS_BUCKET = "ros-data"
# As the document types it.
CLUSTER_BY_HAND = "1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c"


async def kruize_is_healthy(flow: Flow) -> None:
    profiles = await flow.json(f"{flow.urls['kruize']}/listPerformanceProfiles")
    expect(isinstance(profiles, list), f"answered {profiles}")


async def ros_api_is_healthy(flow: Flow) -> None:
    answer = await flow.json(f"{flow.urls['ros_api']}/status")
    expect(answer == {"api-server": "working"}, f"answered {answer}")


async def sources_api_is_healthy(flow: Flow) -> None:
    status, body = await flow.get(f"{flow.urls['sources']}/health")
    expect((status, body.strip()) == (200, b"OK"), f"answered {status}: {body[:200]!r}")


async def koku_hands_on_the_usage(flow: Flow) -> None:
    flow.ros_event = await flow.message(ROS_EVENTS, of_cluster=True)
    metadata = flow.ros_event["metadata"]
    seen = (metadata["org_id"], metadata["cluster_uuid"])
    expect(seen == (ORG_ID, flow.cluster_id), f"of {seen}, expected {(ORG_ID, flow.cluster_id)}")
    expect(flow.ros_event["files"], "names no file")


async def handed_on_files_are_readable(flow: Flow) -> None:
    for url, key in zip(flow.ros_event["files"], flow.ros_event["object_keys"], strict=True):
        status, body = await flow.get(url)
        expect(status == 200, f"{key} answered {status}: {body[:200]!r}")
        expect(body == await flow.stored(ROS_BUCKET, key), f"{key} holds other bytes than its url gives")


async def processor_is_done(flow: Flow) -> None:
    await flow.tracked(("koku", "success"), ("ros-processor", "success"))
    await flow.message(RECOMMENDATIONS)


async def database_has_the_workloads(flow: Flow) -> None:
    await _workloads(flow, flow.cluster_id)


async def kruize_has_the_experiments(flow: Flow) -> None:
    await _experiments(flow, flow.cluster_id)


async def api_shows_the_recommendations(flow: Flow) -> None:
    await _recommendations(flow, flow.cluster_id)


async def usage_is_put_into_the_bucket_by_hand(flow: Flow) -> None:
    key = f"{uuid.uuid4()}_openshift_usage_report.0.csv"
    await flow.objects.put(ROS_BUCKET, key, flow.csv_file.read_bytes(), content_type="text/csv")
    flow.ros_event = {
        "request_id": REQUEST_ID,
        "b64_identity": IDENTITY,
        "metadata": {
            "account": ORG_ID,
            "org_id": ORG_ID,
            "source_id": "test-source-id",
            "cluster_uuid": CLUSTER_BY_HAND,
            "cluster_alias": "test-cluster",
        },
        "files": [f"http://minio:9000/{ROS_BUCKET}/{key}"],
    }
    flow.known_statuses |= {row["id"] for row in await flow.statuses()}


async def event_is_typed_by_hand(flow: Flow) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=flow.urls["kafka"])
    await producer.start()
    try:
        await producer.send_and_wait(ROS_EVENTS, json.dumps(flow.ros_event).encode())
    finally:
        await producer.stop()
    await flow.tracked(("ros-processor", "success"))


async def database_has_the_workloads_by_hand(flow: Flow) -> None:
    await _workloads(flow, CLUSTER_BY_HAND)


async def kruize_has_the_experiments_by_hand(flow: Flow) -> None:
    await _experiments(flow, CLUSTER_BY_HAND)


async def api_shows_the_recommendations_by_hand(flow: Flow) -> None:
    await _recommendations(flow, CLUSTER_BY_HAND)


async def _names(flow: Flow, cluster_id: str) -> list[str]:
    return await flow.select(
        "SELECT experiment_name FROM workloads JOIN clusters ON clusters.id = cluster_id WHERE cluster_uuid = $1",
        cluster_id,
    )


async def _workloads(flow: Flow, cluster_id: str) -> None:
    async def none_there() -> str:
        (count,) = await flow.select("SELECT COUNT(*) FROM workloads;")
        names = await _names(flow, cluster_id)
        return "" if 0 < len(names) <= count else f"{len(names)} of {count} workloads are of {cluster_id}"

    await appears(none_there)


async def _experiments(flow: Flow, cluster_id: str) -> None:
    async def some_missing() -> str:
        listed = {
            item["experiment_name"] for item in await flow.json(f"{flow.urls['kruize']}/listExperiments")
        }
        missing = set(await _names(flow, cluster_id)) - listed
        return f"not among the {len(listed)} experiments: {sorted(missing)}" if missing else ""

    await appears(some_missing)


async def _recommendations(flow: Flow, cluster_id: str) -> None:
    base = f"{flow.urls['ros_api']}/api/ros/v1"
    # The cluster has more workloads than a page shows.
    page = f"?cluster={cluster_id}&limit=100"

    async def nothing_shown() -> str:
        shown = await flow.json(f"{base}/recommendations{page}", **{"x-rh-identity": IDENTITY})
        return "" if shown["data"] else f"no recommendation of {cluster_id}"

    await appears(nothing_shown)
    workloads = await flow.json(f"{base}/workloads{page}", **{"x-rh-identity": IDENTITY})
    expect(workloads["data"], f"no workload of {cluster_id}")
    shown = await flow.json(f"{base}/recommendations{page}", **{"x-rh-identity": IDENTITY})
    for row in shown["data"]:
        await _is_kruizes(flow, row, await _names(flow, cluster_id))


async def _is_kruizes(flow: Flow, row: dict[str, Any], names: list[str]) -> None:
    """What the API shows comes from the experiment of that workload."""
    ending = f"|{row['project']}|{row['workload_type']}|{row['workload']}"
    (name,) = [name for name in names if name.endswith(ending)]
    url = f"{flow.urls['kruize']}/listRecommendations?experiment_name={quote(name, safe='')}"
    (experiment,) = await flow.json(url)
    containers = experiment["kubernetes_objects"][0]["containers"]
    data = [
        item["recommendations"]["data"] for item in containers if item["container_name"] == row["container"]
    ]
    expect(data and data[0], f"Kruize has none for {name}, container {row['container']}")


STEPS = (
    ("kruize", kruize_is_healthy),
    ("ros_api", ros_api_is_healthy),
    ("sources_api", sources_api_is_healthy),
    ("koku", koku_hands_on_the_usage),
    ("s3", handed_on_files_are_readable),
    ("ros_processor", processor_is_done),
    ("ros_processor", database_has_the_workloads),
    ("kruize", kruize_has_the_experiments),
    ("ros_poller", api_shows_the_recommendations),
    ("s3", usage_is_put_into_the_bucket_by_hand),
    ("ros_processor", event_is_typed_by_hand),
    ("ros_processor", database_has_the_workloads_by_hand),
    ("kruize", kruize_has_the_experiments_by_hand),
    ("ros_poller", api_shows_the_recommendations_by_hand),
)
