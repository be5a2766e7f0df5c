import asyncio
import json
import uuid
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from headrace.rules import SHIPPED_PACK
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.metrics import exposition
from headrace.samples import insights
from headrace.samples.options import SampleOptions
from tests.integration.ingress.harness import ID_HEADER, b64_identity, new_id, open_ingress, part
from tests.integration.rules_engine.harness import metric, open_engine
from tests.serving import serving
from tests.unit.rules.worker_archives import CLUSTER, bidding
from tests.waiting import eventually

OPERATOR_TYPE = "application/vnd.redhat.openshift.periodic+tar"
OTHER_CLUSTER = str(uuid.UUID(int=5))


async def test_an_upload_becomes_a_report_on_the_topic(kafka_url, s3_url, tmp_path):
    (sample,) = insights.generate(tmp_path, SampleOptions())
    async with (
        open_ingress(kafka_url, s3_url) as ingress,
        open_engine(
            kafka_url,
            s3_url,
            announce_topic=ingress.announce_topic,
            packages=(SHIPPED_PACK,),
            DEADLINE_SECONDS="30",
        ) as engine,
    ):
        request_id = new_id()
        answer = await ingress.post(
            part(sample.read_bytes(), content_type=OPERATOR_TYPE),
            **{ID_HEADER: request_id, "x-rh-identity": b64_identity(org_id="12383032")},
        )
        assert answer.status == 202
        outcome, text = await engine.end(request_id)
        (record,) = await engine.published(engine.results_topic, request_id)
        announcement = await ingress.announcement(request_id)
        assert engine.host.contexts[0].health.problems == {}
        statuses = [status["status"] for status in await engine.statuses(request_id)]
    result = json.loads(record.value)
    keys = {entry["key"] for entry in result["Report"]["reports"]}
    assert {"NODES_NOT_READY", "PODS_CRASH_LOOPING"} <= keys
    assert (result["OrgID"], result["AccountNumber"], result["Version"]) == (12383032, 1, 2)
    assert result["ClusterName"] == SampleOptions().cluster() == record.key.decode()
    assert result["LastChecked"] == announcement["timestamp"]
    assert result["Report"].keys() >= {"system", "reports", "fingerprints", "analysis_metadata"}
    assert record.value.endswith(b"}\n")
    assert (outcome, statuses) == ("success", ["received", "processing", "success"])
    assert f"{len(keys)} rule hits of cluster {result['ClusterName']} sent to {engine.results_topic}" in text


async def test_each_archive_ends_by_itself_with_its_reason(kafka_url, s3_url):
    """Bad payloads are rejected, rules that end their process cost a dead letter, neighbours pass."""
    async with open_engine(kafka_url, s3_url, MAX_ARCHIVE_BYTES="100000") as engine:
        names_none = b64_identity(org_id="1")
        sent = {
            "good": await engine.send(bidding("say", "hello")),
            "damaged": await engine.send(bidding("say")[:-20]),
            "no archive": await engine.send(b"text"),
            "empty": await engine.send(b""),
            "too big": await engine.send(b"x" * 100_001),
            "gone": await engine.send(None),
            "no cluster": await engine.send(bidding("say", cluster=""), identity=names_none),
            "no uuid": await engine.send(bidding("say"), cluster_name="prod"),
            "elsewhere": await engine.send(None, bucket=None, object_key=None),
            "hang": await engine.send(bidding("hang")),
            "crash": await engine.send(bidding("exit", 3)),
            "bloat": await engine.send(bidding("bloat", 2 << 30)),
            "fails": await engine.send(bidding("fail", "text")),
            "no org": await engine.send(bidding("say"), identity=b64_identity(org_id="x")),
        }
        ends = dict(zip(sent, await asyncio.gather(*map(engine.end, sent.values())), strict=True))
        dead = await engine.dead_letters()
        published = {
            json.loads(record.value)["RequestId"] for record in await engine.records.all(engine.results_topic)
        }
    assert published == {sent["good"], sent["fails"]}
    assert ends["good"][0] == ends["fails"][0] == "success"
    assert "1 component failed: tests.unit.rules.worker_pack.rules.report (ValueError" in ends["fails"][1]
    expected = {
        "damaged": "the archive is not acceptable: the gzip stream is truncated",
        "no archive": "the archive is not acceptable: ",
        "empty": "Empty input archive",
        "too big": "The archive is too big. Skipping: more than 100000 bytes",
        "gone": f"{engine.bucket}/{sent['gone']} does not exist",
        "no cluster": "cluster id not found",
        "no uuid": "the cluster id 'prod' of the announcement is not a UUID",
        "elsewhere": "nowhere.example.com, which is neither Headrace's S3 nor listed in RULES_ENGINE_ALLOWED_HOSTS",
        "hang": "dead-lettered: the rules did not end within 1 s: ",
        "crash": "dead-lettered: the rules crashed their process: it exited with code 3",
        "bloat": "dead-lettered: the rules need more than the 256 MiB",
        "no org": "dead-lettered: Error extracting the OrgID: 'x' is not a number",
    }
    for name, reason in expected.items():
        assert ends[name][0] == "error"
        assert reason in ends[name][1], name
    assert {json.loads(record.value)["request_id"] for record in dead} == {
        sent[name] for name in ("hang", "crash", "bloat", "no org")
    }
    for record in dead:
        request_id = json.loads(record.value)["request_id"]
        name = next(name for name in sent if sent[name] == request_id)
        headers = b" ".join(value or b"" for _, value in record.headers).decode()
        assert expected[name].removeprefix("dead-lettered: ") in headers


async def test_redelivery_publishes_the_same_again(kafka_url, s3_url):
    async with open_engine(kafka_url, s3_url) as engine:
        first = await engine.send(bidding("say", "hello"))
        await engine.end(first)
        again = {"request_id": first, "object_key": first, "bucket": engine.bucket}
        await engine.send(None, **again)
        later = await engine.send(bidding("say"))
        await engine.end(later)

        async def twice() -> list[Any]:
            found = await engine.published(engine.results_topic, first)
            return found if len(found) == 2 else []

        records = await eventually(twice, within_seconds=90)
    bodies = [json.loads(record.value) for record in records]
    for body in bodies:
        del body["Report"]["analysis_metadata"]
        for entry in body["Report"]["reports"]:
            entry["details"].pop("pid", None)
    assert bodies[0] == bodies[1]
    assert records[0].key == records[1].key


async def test_whose_archive_it_is(kafka_url, s3_url):
    async with open_engine(kafka_url, s3_url) as engine:
        of_identity = b64_identity(org_id="7", system={"cluster_id": OTHER_CLUSTER})
        third = str(uuid.UUID(int=6))
        for terms, cluster in (
            ({}, CLUSTER),
            ({"identity": of_identity}, OTHER_CLUSTER),
            ({"identity": of_identity, "cluster_name": third}, third),
        ):
            request_id = await engine.send(bidding("say"), **terms)
            assert (await engine.end(request_id))[0] == "success"
            assert (await engine.result(request_id))["ClusterName"] == cluster


async def test_other_messages_of_the_pipeline_are_sent_where_there_is_something_to_say(kafka_url, s3_url):
    async with open_engine(kafka_url, s3_url) as engine:
        images = {"config/workload_info.json": b'{"pods": 3}'}
        both = await engine.send(bidding("recommend", **images))
        plain = await engine.send(bidding("say"))
        assert [await engine.end(both), await engine.end(plain)]
        (workloads,) = await engine.records.all(engine.workloads_topic)
        (info,) = await engine.records.all(engine.workload_info_topic)
        assert "workload_recommendations" not in (await engine.result(both))["Report"]
    found = json.loads(workloads.value)
    assert found["RequestId"] == both
    assert found["Metrics"]["workload_recommendations"] == [{"key": "RECOMMENDED"}]
    assert (json.loads(info.value)["RequestId"], json.loads(info.value)["Images"]) == (both, {"pods": 3})


async def test_archives_are_fetched_from_hosts_that_are_allowed(kafka_url, s3_url):
    archive = bidding("say")

    async def serve(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.path == "/good" else 403, body=archive)

    app = web.Application()
    app.router.add_get("/{name}", serve)
    async with serving(app) as url:
        host = url.removeprefix("http://")
        async with open_engine(kafka_url, s3_url, ALLOWED_HOSTS=json.dumps([host])) as engine:
            terms = {"bucket": None, "object_key": None}
            good = await engine.send(None, url=f"http://{host}/good", **terms)
            refused = await engine.send(None, url=f"http://{host}/refused?X-Amz-Signature=s", **terms)
            assert (await engine.end(good))[0] == "success"
            outcome, text = await engine.end(refused)
    assert outcome == "error"
    assert "was answered 403" in text
    assert "Signature" not in text


async def test_metrics_move_under_upstreams_names(kafka_url, s3_url):
    names = [
        "ccx_consumer_received_total", "ccx_consumer_filtered_total", "ccx_consumer_extracted_total",
        "ccx_engine_processed_total", "ccx_published_total", "ccx_failures_total", "ccx_not_handled_total",
        "ccx_engine_processed_timeout_total", "gathering_conditions_remote_configuration_version_total",
        "ccx_downloaded_total_count", "ccx_consumer_archive_size_count", "ccx_download_duration_seconds_count",
        "ccx_process_duration_seconds_count", "ccx_publish_duration_seconds_count",
        "ccx_broker_instances_size", "ccx_broker_exceptions_size", "ccx_broker_tracebacks_size",
    ]  # fmt: skip
    of = {"archive": "ocp"}
    hypershift = {"archive": "hypershift"}
    watched: dict[tuple[str, ...], dict[str, str]] = {
        ("ccx_consumer_received_total",): {},
        ("ccx_consumer_filtered_total",): {},
        ("ccx_published_total", "ocp"): of,
        ("ccx_published_total", "hypershift"): hypershift,
        ("ccx_consumer_extracted_total", "hypershift"): hypershift,
        ("ccx_engine_processed_total", "ocp"): of,
        ("ccx_failures_total", "ocp"): of,
        ("ccx_engine_processed_timeout_total", "ocp"): of,
        ("ccx_downloaded_total_count",): {},
        ("ccx_download_duration_seconds_count",): {},
        ("ccx_publish_duration_seconds_count", "ocp"): of,
        ("gathering_conditions_remote_configuration_version_total",): {"version": "1.1.0"},
        ("headrace_rule_exceptions_total",): {},
    }
    before = {key: metric(key[0], **labels) for key, labels in watched.items()}
    async with open_engine(kafka_url, s3_url) as engine:
        conditions = {"insights-operator/remote-configuration.json": b'{"version": "1.1.0"}'}
        await engine.send(bidding("say"), service="advisor")
        sent = [
            await engine.send(bidding("say", **conditions)),
            await engine.send(bidding("say", **{"config/infrastructure.json": b"{}"})),
            await engine.send(bidding("fail")),
            await engine.send(bidding("hang")),
            await engine.send(b""),
        ]
        for request_id in sent:
            await engine.end(request_id)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{engine.host.admin_port}/metrics") as response,
        ):
            exported = await response.text()
    assert [name for name in names if f"\n{name}" not in exported] == []
    assert 'ccx_failures_total{archive="hypershift"}' in exported
    moved = {key: metric(key[0], **labels) - before[key] for key, labels in watched.items()}
    assert list(moved.values()) == [5, 1, 2, 1, 1, 2, 2, 1, 4, 5, 4, 1, 1]
    assert b"1.1.0" in exposition()


async def test_rules_that_cannot_be_loaded_stop_the_start_with_a_clear_line(kafka_url, s3_url):
    with pytest.raises(ConfigurationError, match="'no_such_rules' cannot be imported: ModuleNotFoundError"):
        async with open_engine(kafka_url, s3_url, packages=("no_such_rules",)):
            pass
