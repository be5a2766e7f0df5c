"""From a cluster's Insights archive to what the rules say of it."""

import uuid

import aiohttp

from steps.flow import IDENTITY, ORG_ID, Flow, appears, expect

CONTENT_TYPE = "application/vnd.redhat.openshift.periodic+tar"


async def aggregator_is_healthy(flow: Flow) -> None:
    answer = await flow.json(f"{flow.urls['aggregator']}/api/v1/info")
    expect(answer.get("status") == "ok", f"answered {answer}")


async def insights_archive_is_accepted(flow: Flow) -> None:
    flow.rules_request_id = uuid.uuid4().hex
    form = aiohttp.FormData()
    body = flow.insights_file.read_bytes()
    form.add_field("file", body, filename=flow.insights_file.name, content_type=CONTENT_TYPE)
    headers = {"x-rh-identity": IDENTITY, "x-rh-request-id": flow.rules_request_id}
    url = f"{flow.urls['ingress']}/api/ingress/v1/upload"
    async with flow.http.post(url, data=form, headers=headers) as response:
        answer = await response.read()
    expect(response.status in {201, 202}, f"answered {response.status}: {answer[:200]!r}")


async def rules_are_run(flow: Flow) -> None:
    await flow.tracked(("rules-engine", "success"), request_id=flow.rules_request_id)


async def aggregator_shows_what_they_found(flow: Flow) -> None:
    path = f"/api/v1/organizations/{int(ORG_ID)}/clusters/{flow.insights_cluster_id}/users/1/report"

    async def nothing_shown() -> str:
        status, body = await flow.get(flow.urls["aggregator"] + path, **{"x-rh-identity": IDENTITY})
        return "" if status == 200 else f"answered {status}: {body[:200]!r}"

    await appears(nothing_shown)
    report = (await flow.json(flow.urls["aggregator"] + path, **{"x-rh-identity": IDENTITY}))["report"]
    expect(report["reports"], f"no rule hit: {report}")


STEPS = (
    ("results_aggregator", aggregator_is_healthy),
    ("ingress", insights_archive_is_accepted),
    ("rules_engine", rules_are_run),
    ("results_aggregator", aggregator_shows_what_they_found),
)
