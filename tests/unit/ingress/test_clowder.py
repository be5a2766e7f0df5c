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
