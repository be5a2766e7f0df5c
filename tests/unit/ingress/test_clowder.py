import json
from pathlib import Path

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings
from headrace_services.ingress.clowder import settings_of
from headrace_services.ingress.settings import IngressSettings

ASKED = {
    "announce_topic": "platform.upload.announce",
    "status_topic": "platform.payload-status",
    "stage_bucket": "insights-upload-perma",
}
FILE = {
    "webPort": 8000,
    "metricsPort": 9000,
    "logging": {"type": "null"},
    "kafka": {
        "brokers": [
            {
                "hostname": "k1",
                "port": 9096,
                "authtype": "sasl",
                "sasl": {
                    "username": "u",
                    "password": "p",
                    "saslMechanism": "SCRAM-SHA-512",
                    "securityProtocol": "SASL_SSL",
                },
            },
            {"hostname": "k2"},
        ],
        "topics": [{"name": "env-announce", "requestedName": "platform.upload.announce"}],
    },
    "objectStore": {
        "hostname": "s3.local",
        "port": 9000,
        "tls": False,
        "accessKey": "a",
        "secretKey": "s",
        "buckets": [{"name": "env-perma", "requestedName": "insights-upload-perma"}],
    },
}


def written(tmp_path, content):
    path = tmp_path / "cdapp.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_what_the_file_grants_takes_the_place_of_what_was_asked_for(tmp_path):
    settings = IngressSettings().model_copy(update=settings_of(written(tmp_path, FILE), ASKED))
    engines = settings.kafka(EngineSettings())
    assert (settings.web_port, settings.metrics_port) == (8000, 9000)
    assert (engines.kafka, engines.kafka_username, engines.kafka_security_protocol) == (
        "k1:9096,k2:9092",
        "u",
        "SASL_SSL",
    )
    assert (settings.announce_topic, settings.status_topic) == ("env-announce", "platform.payload-status")
    assert (settings.stage_bucket, settings.s3(EngineSettings()).url) == ("env-perma", "http://s3.local:9000")


def objects(buckets, **store):
    return {"objectStore": {"hostname": "s3.local", "port": 9000, "buckets": buckets, **store}}


def test_a_bucket_is_used_with_its_own_keys_and_region(tmp_path):
    buckets = [
        {"name": "other", "requestedName": "other", "accessKey": "x", "secretKey": "y", "region": "z"},
        {
            "name": "env-perma",
            "requestedName": "insights-upload-perma",
            "accessKey": "a",
            "secretKey": "s",
            "region": "eu-1",
        },
    ]
    for content in (objects(buckets), objects(buckets, accessKey="store", secretKey="store")):
        values = settings_of(written(tmp_path, content), ASKED)
        endpoint = IngressSettings().model_copy(update=values).s3(EngineSettings())
        assert (endpoint.access_key, endpoint.secret_key, endpoint.region) == ("a", "s", "eu-1")


def test_a_bucket_without_keys_is_used_with_the_keys_of_the_store(tmp_path):
    buckets = [{"name": "env-perma", "requestedName": "insights-upload-perma", "accessKey": None}]
    values = settings_of(written(tmp_path, objects(buckets, accessKey="a", secretKey="s")), ASKED)
    assert (values["minio_access_key"], values["minio_secret_key"]) == ("a", "s")


def test_the_public_port_goes_before_the_older_web_port(tmp_path):
    values = settings_of(written(tmp_path, {"webPort": 8000, "publicPort": 8001}), ASKED)
    assert values["web_port"] == 8001


def test_a_certificate_in_the_file_becomes_a_path(tmp_path):
    content = {"kafka": {"brokers": [{"hostname": "k", "cacert": "PEM"}]}}
    values = settings_of(written(tmp_path, content), ASKED)
    assert Path(values["kafka_ca"]).read_text() == "PEM"


@pytest.mark.parametrize(
    "content", [{"kafka": {"brokers": []}}, {"webPort": "x"}, [], {"kafka": {"brokers": [{}]}}]
)
def test_a_wrong_file_is_named(tmp_path, content):
    with pytest.raises(ConfigurationError, match=r"ACG_CONFIG: got .*cdapp\.json"):
        settings_of(written(tmp_path, content), ASKED)


def test_no_value_of_a_wrong_file_is_shown(tmp_path):
    content = {"objectStore": {"secretKey": "hunter2", "port": "hunter2"}}
    with pytest.raises(ConfigurationError) as caught:
        settings_of(written(tmp_path, content), ASKED)
    assert "objectStore.hostname: Field required; objectStore.port: " in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="ACG_CONFIG"):
        settings_of(str(tmp_path / "nowhere.json"), ASKED)
