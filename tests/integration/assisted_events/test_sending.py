"""What is sent, when, and once."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from headrace.contracts.assisted import user_id
from tests.integration.assisted_events.harness import (
    Endpoint,
    Sender,
    members_of,
    open_sender,
)
from tests.waiting import eventually

ORDER = ("events/cluster", "events/hosts", "events/infraenv", "events", "versions", "metadata")


async def test_an_ended_installation_is_sent_as_the_contract_says(sender: Sender, endpoint: Endpoint) -> None:
    (cluster_id,) = await sender.simulate(hosts=3, events=100)
    sending = await sender.in_state(cluster_id, "sent")
    (upload,) = endpoint.accepted
    assert upload.part["name"] == "file"
    assert upload.part["filename"] == "events.tgz"
    assert upload.part["Content-Type"] == "application/vnd.redhat.assisted-installer.events+tar"
    assert upload.headers["User-Agent"] == f"assisted-installer-operator/headrace cluster/{cluster_id}"
    assert upload.headers["Authorization"] == "Bearer amRvZTpzaW11bGF0ZWQ="
    assert upload.request_id == sending["request_id"]
    assert int(upload.headers["Content-Length"]) > len(upload.content) == sending["size_bytes"]
    assert hashlib.sha256(upload.content).hexdigest() == sending["content_sha256"]
    members = upload.members
    assert list(members) == [f"{cluster_id}/{name}.json" for name in ORDER]
    assert len(members[f"{cluster_id}/events/hosts.json"]) == sending["hosts"] == 3
    assert len(members[f"{cluster_id}/events.json"]) == sending["events"] == 100
    times = [event["event_time"] for event in members[f"{cluster_id}/events.json"]]
    assert times == sorted(times)
    assert members[f"{cluster_id}/metadata.json"].items() >= members[f"{cluster_id}/versions.json"].items()
    assert members[f"{cluster_id}/events/cluster.json"]["user_id"] == user_id("jdoe")


@pytest.mark.parametrize("state", ["installed", "error", "cancelled", "adding-hosts"])
async def test_every_end_state_is_sent(sender: Sender, endpoint: Endpoint, state: str) -> None:
    (cluster_id,) = await sender.simulate(end_state=state)
    sending = await sender.in_state(cluster_id, "sent")
    assert sending["outcome"] == ("installed" if state == "adding-hosts" else state)
    assert endpoint.accepted[0].members[f"{cluster_id}/events/cluster.json"]["status"] == state


async def test_an_installation_under_way_is_not_sent(sender: Sender, endpoint: Endpoint) -> None:
    await sender.execute(
        "insert into clusters (id, status) values ('11111111-2222-4333-8444-555555555555', 'x')"
    )
    (other,) = await sender.simulate()
    await sender.in_state(other, "sent")
    assert [sending["cluster_id"] for sending in await sender.sendings()] == [other]


async def test_weak_point_a_reinstalled_cluster_is_sent_again(sender: Sender, endpoint: Endpoint) -> None:
    (cluster_id,) = await sender.simulate(end_state="error", seed=1)
    first = await sender.in_state(cluster_id, "sent")
    await sender.simulate(cluster_id=cluster_id, seed=2)

    async def both() -> bool:
        found = await sender.sendings(cluster_id)
        return [sending["state"] for sending in found] == ["sent", "sent"]

    await eventually(both, within_seconds=60)
    assert [upload.cluster_id for upload in endpoint.accepted] == [cluster_id] * 2
    assert len({upload.request_id for upload in endpoint.accepted} - {first["request_id"]}) == 1


async def test_weak_point_nothing_is_sent_twice(sender: Sender, endpoint: Endpoint) -> None:
    (cluster_id,) = await sender.simulate()
    await sender.in_state(cluster_id, "sent")
    # Later hosts are no new installation, and neither is any other change.
    await sender.execute("update clusters set status = 'adding-hosts' where id = $1", cluster_id)
    await sender.execute("update clusters set status = 'installed', name = 'x' where id = $1", cluster_id)
    # The same content under another attempt is recognised by its digest.
    (other,) = await sender.simulate()
    await sender.in_state(other, "sent")
    assert len(endpoint.accepted) == 2
    await sender.execute("update sendings set install_started_at = '2020-01-01' where cluster_id = $1", other)
    await sender.execute("update clusters set status = 'installed' where id = $1", other)
    skipped = await sender.in_state(other, "skipped")
    assert skipped["reason"] == f"the same content was sent as request {endpoint.accepted[1].request_id}"
    assert len(endpoint.accepted) == 2


async def test_two_replicas_send_once(
    postgres_url: str, database_name: str, endpoint: Endpoint, sender: Sender
) -> None:
    async with open_sender(postgres_url, database_name, DATA_UPLOAD_ENDPOINT=endpoint.url) as other:
        made = [*await sender.simulate(clusters=3), *await other.simulate(clusters=3)]
        for cluster_id in made:
            await other.in_state(cluster_id, "sent")
    assert sorted(upload.cluster_id for upload in endpoint.received) == sorted(made)


async def test_a_replica_takes_over_when_the_leaders_connection_is_lost(
    sender: Sender, endpoint: Endpoint
) -> None:
    await sender.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'headrace-assisted_events leader' and datname = current_database()"
    )
    (cluster_id,) = await sender.simulate()
    await sender.in_state(cluster_id, "sent")
    assert len(endpoint.accepted) == 1


@pytest.mark.parametrize("sender", [{"CLUSTER_EVENTS_UPLOADER_INTERVAL": "300ms"}], indirect=True)
async def test_the_ticker_finds_what_nobody_was_told_of(sender: Sender, endpoint: Endpoint) -> None:
    await sender.execute("alter table clusters disable trigger cluster_ended")
    (cluster_id,) = await sender.simulate()
    await sender.in_state(cluster_id, "sent")
    assert len(endpoint.accepted) == 1


OPT_OUTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "setting": ({"ENABLE_DATA_COLLECTION": "false"}, {}, "data collection is off"),
    "telemetry": (
        {},
        {"credentials": False},
        "opted out of telemetry: management pull secret: there is none",
    ),
}


@pytest.mark.parametrize("way", OPT_OUTS)
async def test_opting_out(postgres_url: str, database_name: str, endpoint: Endpoint, way: str) -> None:
    environment, terms, reason = OPT_OUTS[way]
    async with open_sender(
        postgres_url, database_name, DATA_UPLOAD_ENDPOINT=endpoint.url, **environment
    ) as sender:
        (cluster_id,) = await sender.simulate(**terms)
        sending = await sender.in_state(cluster_id, "skipped")
    assert reason in sending["reason"]
    assert endpoint.received == []


async def test_weak_point_a_cluster_can_be_opted_out_and_in(sender: Sender, endpoint: Endpoint) -> None:
    cluster_id = "11111111-2222-4333-8444-555555555555"
    await sender.call("PUT", f"/clusters/{cluster_id}/opt-out")
    await sender.simulate(cluster_id=cluster_id)
    assert (await sender.in_state(cluster_id, "skipped"))["reason"] == "this cluster is opted out"
    status, answer = await sender.ask("POST", f"/clusters/{cluster_id}/export")
    assert (status, answer) == (409, {"message": "this cluster is opted out"})
    assert endpoint.received == []
    assert (await sender.ask("POST", f"/clusters/{cluster_id}/send"))[0] == 409
    await sender.call("DELETE", f"/clusters/{cluster_id}/opt-out")
    await sender.call("POST", f"/clusters/{cluster_id}/send")
    await sender.in_state(cluster_id, "sent")
    assert (await sender.call("GET", f"/clusters/{cluster_id}"))["opted_out"] is False


async def test_weak_point_what_would_be_sent_can_be_seen_and_what_was_sent_when_is_on_record(
    sender: Sender, endpoint: Endpoint
) -> None:
    (cluster_id,) = await sender.simulate(events=50)
    preview = await sender.call("GET", f"/clusters/{cluster_id}/archive")
    sending = await sender.in_state(cluster_id, "sent")
    (upload,) = endpoint.accepted
    assert preview == upload.content
    assert sending["sent_at"] == sending["ended_at"] > sending["first_seen_at"]
    assert sending["attempts"] == 1


async def test_weak_point_a_disconnected_site_exports_and_nothing_is_sent_twice(
    sender: Sender, endpoint: Endpoint
) -> None:
    endpoint.answer = (503, b"")
    (cluster_id,) = await sender.simulate()
    await eventually(lambda: endpoint.received, within_seconds=60)
    await sender.in_state(cluster_id, "waiting")

    async def exported() -> Any:
        status, content = await sender.ask("POST", f"/clusters/{cluster_id}/export")
        return content if status == 200 else None

    content = await eventually(exported, within_seconds=60)
    assert content == endpoint.received[0].content
    endpoint.answer = (202, b"")
    (other,) = await sender.simulate()
    await sender.in_state(other, "sent")
    assert [upload.cluster_id for upload in endpoint.accepted] == [other]
    assert (await sender.sendings(cluster_id))[0]["state"] == "exported"


async def test_weak_point_the_other_infra_envs_are_sent_too_and_the_first_stays_where_it_was(
    postgres_url: str, database_name: str, endpoint: Endpoint, sender: Sender
) -> None:
    (cluster_id,) = await sender.simulate(hosts=3)
    await sender.in_state(cluster_id, "sent")
    first = endpoint.accepted[0].members[f"{cluster_id}/events/infraenv.json"]
    await sender.execute(
        "insert into infra_envs (id, name, user_name) values ('b', 'second', 'jdoe'), ('c', 'unused', 'jdoe')"
    )
    await sender.execute(
        "update hosts set infra_env_id = 'b' where id = (select max(id) from hosts where cluster_id = $1)",
        cluster_id,
    )
    members = members_of(await sender.call("GET", f"/clusters/{cluster_id}/archive"))
    assert members[f"{cluster_id}/events/infraenv.json"] == first
    assert [item["name"] for item in members[f"{cluster_id}/events/infraenvs.json"]] == ["second"]
    assert list(members)[-1] == f"{cluster_id}/events/infraenvs.json"
    async with open_sender(
        postgres_url, database_name, DATA_UPLOAD_ENDPOINT=endpoint.url, ASSISTED_ALL_INFRA_ENVS="false"
    ) as plain:
        members = members_of(await plain.call("GET", f"/clusters/{cluster_id}/archive"))
        assert f"{cluster_id}/events/infraenvs.json" not in members


async def test_what_a_cluster_has_none_of_is_left_out(sender: Sender) -> None:
    cluster_id = "11111111-2222-4333-8444-555555555555"
    await sender.execute("insert into clusters (id, status) values ($1, 'installing')", cluster_id)
    members = members_of(await sender.call("GET", f"/clusters/{cluster_id}/archive"))
    assert [name.removeprefix(f"{cluster_id}/") for name in members] == [
        "events/cluster.json", "events.json", "versions.json", "metadata.json",
    ]  # fmt: skip
    assert members[f"{cluster_id}/events.json"] is None


async def test_an_archive_can_be_replayed(
    postgres_url: str, database_name: str, sender: Sender, endpoint: Endpoint
) -> None:
    (cluster_id,) = await sender.simulate(hosts=4, events=60, end_state="error")
    await sender.in_state(cluster_id, "sent")
    (upload,) = endpoint.accepted
    other = f"{database_name}_other"
    async with open_sender(postgres_url, other, DATA_UPLOAD_ENDPOINT=endpoint.url) as elsewhere:
        for events in (60, 0):
            made = await elsewhere.call("POST", "/installations", data=upload.content)
            assert made == {"clusters": [{"id": cluster_id, "hosts": 4, "events": events, "discarded": 0}]}
        await elsewhere.in_state(cluster_id, "sent")
    await sender.execute(f"drop database {other} with (force)")
    again, hosts = endpoint.accepted[1].members, f"{cluster_id}/events/hosts.json"
    # Who the hosts belong to was not in what is replayed; for the cluster the pull secret says it.
    assert again == {**upload.members, hosts: [anonymous(host) for host in upload.members[hosts]]}


def anonymous(host: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in host.items() if name != "user_id"}


async def test_events_over_their_rate_limit_are_discarded_where_they_are_stored(sender: Sender) -> None:
    (cluster_id,) = await sender.simulate(events=20)

    def event(minute: int) -> dict[str, Any]:
        return {
            "name": "upgrade_agent_failed", "message": f"failed {minute}", "severity": "warning",
            "event_time": f"2026-01-01T00:{minute:02}:00Z",
        }  # fmt: skip

    path = f"/clusters/{cluster_id}/events"
    stored = await sender.call("POST", path, json={"events": [event(0), event(1)]})
    assert stored == {"stored": 1, "discarded": 1}
    stored = await sender.call("POST", path, json={"events": [event(59), {**event(59), "name": "other"}]})
    assert stored == {"stored": 1, "discarded": 1}
    status, answer = await sender.ask("POST", path, json={"events": [{**event(1), "message": "x" * 4097}]})
    assert (status, answer) == (
        400,
        {"message": "events.0.message: String should have at most 4096 characters"},
    )


@pytest.mark.parametrize("mode", ["as-designed", "as-built"])
async def test_planted_secrets_and_users_are_in_no_log_line_and_not_in_the_archive(
    postgres_url: str, database_name: str, endpoint: Endpoint, mode: str, capfd: pytest.CaptureFixture[str],
    fresh: Callable[[str], str],
) -> None:  # fmt: skip
    planted, user = fresh("planted"), fresh("user")
    async with open_sender(
        postgres_url, database_name, DATA_UPLOAD_ENDPOINT=endpoint.url, ASSISTED_SANITISING=mode,
        CLUSTER_EVENTS_UPLOADER_INTERVAL="300ms",
    ) as sender:  # fmt: skip
        endpoint.script = [(500, f"echo Bearer {planted}".encode()), (202, b"")]
        cluster_id = "11111111-2222-4333-8444-555555555555"
        secret = {"auths": {"cloud.openshift.com": {"auth": "dTpw", "email": f"{user}@example.com"}}}
        secret["auths"][planted] = {"email": planted}
        await sender.execute("insert into infra_envs (id, user_name, proxy, download_url, pull_secret)"
            " values ('i', $1, $2, $3, $3)", user, json.dumps({"http_proxy": planted}), planted)  # fmt: skip
        await sender.execute("insert into hosts (id, infra_env_id, cluster_id, user_name, fencing_credentials,"
            " installer_args, ignition_config_overrides, status_info) values ('h', 'i', $1, $2, $3, $3, $3, $2)",
            cluster_id, user, planted)  # fmt: skip
        await sender.execute("insert into events (name, message, severity, event_time, cluster_id, props) values"
            " ('n', $2, 'info', now(), $1, $3)", cluster_id, f"{user} used https://u:{planted}@proxy",
            json.dumps({"who": f"{user}@example.com"}))  # fmt: skip
        await sender.execute("insert into clusters (id, status, install_started_at, user_name, pull_secret,"
            " http_proxy, ssh_public_key, install_config_overrides) values"
            " ($1, 'installed', now(), $2, $3, $4, $4, $4)", cluster_id, user, json.dumps(secret), planted)  # fmt: skip
        await sender.in_state(cluster_id, "sent")
    text = json.dumps(endpoint.accepted[0].members)
    assert (planted in text, user in text) == ((False, False) if mode == "as-designed" else (True, True))
    assert '"dTpw"' not in text
    logged = capfd.readouterr()
    assert "successfully uploaded events for cluster" in logged.out
    for secret_text in (planted, user, "dTpw"):
        assert secret_text not in logged.out + logged.err


async def test_an_installers_own_database_is_only_read_and_what_ended_before_is_not_sent(
    postgres_url: str, database_name: str, endpoint: Endpoint, sender: Sender
) -> None:
    (before,) = await sender.simulate()
    await sender.in_state(before, "sent")
    endpoint.accepted.clear()
    await sender.execute("drop table sendings, opt_outs, watching")
    await sender.execute("drop table schema_migrations")
    await sender.execute("revoke insert, update, delete on all tables in schema public from public")
    async with open_sender(
        postgres_url, f"{database_name}_own", DATA_UPLOAD_ENDPOINT=endpoint.url,
        ASSISTED_DATABASE_URL=sender.database, CLUSTER_EVENTS_UPLOADER_INTERVAL="300ms",
    ) as reader:  # fmt: skip
        try:
            skipped = await reader.in_state(before, "skipped")
            assert "before this service first read" in skipped["reason"]
            status, _ = await reader.ask("POST", "/simulations", json={})
            assert status == 409
            await sender.execute(
                "update clusters set install_started_at = now(), status_updated_at = now() + interval '1 min'"
                " where id = $1", before,
            )  # fmt: skip
            await reader.in_state(before, "sent")
            assert [upload.cluster_id for upload in endpoint.accepted] == [before]
        finally:
            await asyncio.sleep(0)
    await sender.execute(f"drop database if exists {database_name}_own with (force)")
