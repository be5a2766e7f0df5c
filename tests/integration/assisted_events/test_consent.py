"""Consent: the installation's pull secret decides, at an installation's end, and again at each sending."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.assisted_events.harness import Endpoint, Sender, open_sender
from tests.waiting import eventually

HOST = "cloud.openshift.com"


def auth(user: str) -> str:
    return base64.b64encode(f"{user}:pass".encode()).decode()


def secret(registry: str = HOST, **entry: str) -> str:
    return json.dumps({"auths": {"quay.io": {"auth": auth("other")}, registry: entry or {"auth": auth("m")}}})


OPTED_IN, OPTED_OUT = secret(), json.dumps({"auths": {"quay.io": {"auth": auth("m")}}})
OPT_OUTS = {
    "no entry": OPTED_OUT,
    "no entry at all": '{"auths": {}}',
    "no auths": "{}",
    "an empty token": secret(auth=""),
    "a blank token": secret(auth="  "),
    "an entry without a token": secret(email="m@example.com"),
    "a null entry": json.dumps({"auths": {HOST: None}}),
    "another case": secret("Cloud.OpenShift.com"),
    "with a scheme": secret("https://cloud.openshift.com"),
    "with a port": secret("cloud.openshift.com:443"),
    "with a blank": secret(" cloud.openshift.com"),
    "no entry beside one that is damaged": json.dumps({"auths": {"quay.io": {"auth": "!!"}}}),
}
UNKNOWN: dict[str, str | None] = {
    "missing": None,
    "empty": "",
    "blank": " \n",
    "no JSON": "{",
    "no object": "[]",
    "null": "null",
    "not base64": secret(auth="!!"),
    "auths of another kind": '{"auths": []}',
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pull-secret"


@pytest.fixture
def management(postgres_url: str, database_name: str, endpoint: Endpoint, file: Path) -> Any:
    """A sender whose installation's pull secret is `file`."""

    def open_one(**more: str) -> Any:
        environment: dict[str, Any] = {
            "DATA_UPLOAD_ENDPOINT": endpoint.url,
            "ASSISTED_PULL_SECRET_FILE": str(file),
            **more,
        }
        return open_sender(postgres_url, database_name, **environment)

    return open_one


@pytest.mark.parametrize("way", OPT_OUTS)
async def test_an_installation_that_opted_out_sends_nothing_though_the_clusters_own_secret_could(
    management: Any, endpoint: Endpoint, file: Path, way: str
) -> None:
    write(file, OPT_OUTS[way])
    async with management() as sender:
        (cluster_id,) = await sender.simulate()
        sending = await sender.in_state(cluster_id, "skipped")
        status, answer = await sender.ask("POST", f"/clusters/{cluster_id}/export")
        assert (status, answer["message"]) == (409, sending["reason"])
        assert (await sender.ask("POST", f"/clusters/{cluster_id}/send"))[0] == 409
        assert sending["reason"].startswith("opted out of telemetry: management pull secret: ")
        assert endpoint.received == []
        # Who opts in again does so for what ends from then on.
        write(file, OPTED_IN)
        (later,) = await sender.simulate()
        await sender.in_state(later, "sent")
        assert (await sender.sendings(cluster_id))[0]["state"] == "skipped"
        assert [upload.cluster_id for upload in endpoint.received] == [later]
        # Unless somebody asks for it.
        await sender.call("POST", f"/clusters/{cluster_id}/send")
        await sender.in_state(cluster_id, "sent")


@pytest.mark.parametrize("way", UNKNOWN)
async def test_while_the_installations_secret_cannot_be_read_everything_waits_and_health_says_why(
    management: Any, endpoint: Endpoint, file: Path, way: str
) -> None:
    content = UNKNOWN[way]
    if content is not None:
        write(file, content)
    async with management(ASSISTED_MAX_ATTEMPTS="1") as sender:
        (cluster_id,) = await sender.simulate()

        def told() -> bool:
            assert sender.host
            return "management pull secret" in str(sender.host.contexts[0].health.problems)

        await eventually(told, within_seconds=60)
        assert (await sender.ask("POST", f"/clusters/{cluster_id}/send"))[0] >= 400
        assert all(sending["state"] == "waiting" for sending in await sender.sendings(cluster_id))
        assert endpoint.received == []
        write(file, OPTED_IN)
        # It has cost no cluster an attempt.
        await sender.in_state(cluster_id, "sent")


async def test_opting_out_between_an_end_and_its_sending_counts_and_opting_in_again_sends_nothing(
    management: Any, endpoint: Endpoint, file: Path
) -> None:
    write(file, OPTED_IN)
    endpoint.answer = (503, b"")
    async with management() as sender:
        (cluster_id,) = await sender.simulate()
        await eventually(lambda: endpoint.received, within_seconds=60)
        write(file, OPTED_OUT)
        await sender.in_state(cluster_id, "skipped")
        seen = len(endpoint.received)
        endpoint.answer = (202, b"")
        write(file, OPTED_IN)
        (later,) = await sender.simulate()
        await sender.in_state(later, "sent")
        assert (await sender.sendings(cluster_id))[0]["state"] == "skipped"
        assert [upload.cluster_id for upload in endpoint.received[seen:]] == [later]


async def test_an_opt_out_while_the_archive_is_made_keeps_it_here(
    management: Any, endpoint: Endpoint, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace_services.assisted_events.ledger import Ledger

    write(file, OPTED_IN)
    noted = Ledger.sent_before

    async def opt_out_meanwhile(*arguments: Any) -> Any:
        await asyncio.to_thread(write, file, OPTED_OUT)
        return await noted(*arguments)

    monkeypatch.setattr(Ledger, "sent_before", opt_out_meanwhile)
    async with management() as sender:
        (cluster_id,) = await sender.simulate()
        await sender.in_state(cluster_id, "skipped")
    assert endpoint.received == []


@pytest.mark.parametrize("way", OPT_OUTS)
async def test_a_cluster_whose_own_secret_opts_out_is_not_sent_with_the_installations_token(
    management: Any, endpoint: Endpoint, file: Path, way: str
) -> None:
    write(file, OPTED_IN)
    async with management() as sender:
        (other,) = await sender.simulate()
        await sender.in_state(other, "sent")
        cluster_id = await own_secret(sender, OPT_OUTS[way])
        sending = await sender.in_state(cluster_id, "skipped")
        assert sending["reason"].startswith("opted out of telemetry: workload pull secret: ")
    assert [upload.cluster_id for upload in endpoint.received] == [other]


async def test_a_cluster_without_a_secret_of_its_own_goes_by_the_installations(
    management: Any, endpoint: Endpoint, file: Path
) -> None:
    write(file, OPTED_IN)
    async with management() as sender:
        (cluster_id,) = await sender.simulate(credentials=False)
        await sender.in_state(cluster_id, "sent")
    assert endpoint.received[0].headers["Authorization"] == f"Bearer {auth('m')}"


async def test_upstreams_form_takes_either_secret_where_it_is_asked_for(
    management: Any, endpoint: Endpoint, file: Path
) -> None:
    write(file, OPTED_OUT)
    async with management(ASSISTED_EITHER_PULL_SECRET="true") as sender:
        (cluster_id,) = await sender.simulate()
        await sender.in_state(cluster_id, "sent")
    assert endpoint.received[0].headers["Authorization"] == "Bearer amRvZTpzaW11bGF0ZWQ="


async def test_a_cluster_opted_out_while_the_endpoint_is_away_stays_here_when_it_is_opted_in_again(
    sender: Sender, endpoint: Endpoint
) -> None:
    endpoint.answer = (503, b"")
    (cluster_id,) = await sender.simulate()
    await eventually(lambda: endpoint.received, within_seconds=60)
    await sender.call("PUT", f"/clusters/{cluster_id}/opt-out")
    await sender.call("DELETE", f"/clusters/{cluster_id}/opt-out")
    attempts = (await sender.in_state(cluster_id, "skipped"))["attempts"]
    seen = len(endpoint.received)
    endpoint.answer = (202, b"")
    (other,) = await sender.simulate()
    await sender.in_state(other, "sent")
    # One that was under way as it opted out may still come; none follows it.
    assert [upload.cluster_id for upload in endpoint.received[seen:]].count(cluster_id) <= 1
    assert (await sender.sendings(cluster_id))[0]["attempts"] == attempts


@pytest.mark.parametrize("value", ["false", "False", "FALSE", "0", "no", "off", " false ", "", "  "])
async def test_what_the_variable_turns_off_is_turned_off(
    postgres_url: str, database_name: str, endpoint: Endpoint, value: str
) -> None:
    async with open_sender(
        postgres_url, database_name, DATA_UPLOAD_ENDPOINT=endpoint.url, ENABLE_DATA_COLLECTION=value
    ) as sender:
        (cluster_id,) = await sender.simulate()
        sending = await sender.in_state(cluster_id, "skipped")
    assert "data collection is off" in sending["reason"]
    assert endpoint.received == []


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def own_secret(sender: Sender, text: str) -> str:
    cluster_id = "11111111-2222-4333-8444-555555555555"
    await sender.execute(
        "insert into clusters (id, status, install_started_at, pull_secret) values ($1, 'installed', now(), $2)",
        cluster_id, text,
    )  # fmt: skip
    return cluster_id
