"""What Clowder gives goes before what a config.yaml says."""

import json
from pathlib import Path

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace_services.rules_engine.config_yaml.document import read
from tests.unit.rules_engine.config_documents import TODAY, changed

GIVEN = {
    "kafka": {
        "brokers": [
            {
                "hostname": "one",
                "port": 9093,
                "authtype": "sasl",
                "cacert": "PEM",
                "sasl": {
                    "saslMechanism": "SCRAM-SHA-512",
                    "username": "u",
                    "password": "hunter2",
                    "securityProtocol": "SASL_SSL",
                },
            },
            {"hostname": "two", "port": 9093},
        ],
        "topics": [
            {"requestedName": "platform.upload.announce", "name": "real.announce"},
            {"requestedName": "ccx.ocp.results", "name": "real.results"},
            {"requestedName": "platform.payload-status", "name": "real.status"},
        ],
    },
    "objectStore": {
        "hostname": "minio",
        "port": 9000,
        "tls": False,
        "buckets": [{"requestedName": "wanted", "name": "real", "accessKey": "a", "secretKey": "s"}],
    },
}


def variables(tmp_path, given):
    path = tmp_path / "cdappconfig.json"
    path.write_text(given if isinstance(given, str) else json.dumps(given), encoding="utf-8")
    return {"CLOWDER_ENABLED": "true", "ACG_CONFIG": str(path)}


def test_brokers_topics_and_credentials_are_clowders(tmp_path):
    plan = read(TODAY, variables(tmp_path, GIVEN))
    assert (plan.incoming.topic, plan.outgoing.topic) == ("real.announce", "real.results")
    assert plan.watchers.tracker.topic == "real.status"
    assert plan.incoming.dead_letter_topic == "dead.letter.queue"
    access = plan.incoming.kafka
    assert (access.servers, access.username) == ("one:9093,two:9093", "u")
    assert (access.security_protocol, access.sasl_mechanism) == ("SASL_SSL", "SCRAM-SHA-512")
    ca_file = Path(access.ca_file)
    assert ca_file.read_text() == "PEM"
    ca_file.unlink()
    assert access == plan.outgoing.kafka == plan.watchers.tracker.kafka


def test_a_buckets_keys_are_clowders(tmp_path):
    given = {"objectStore": GIVEN["objectStore"]}
    downloader = {
        "name": "ccx_messaging.downloaders.s3_downloader.S3Downloader",
        "kwargs": {"bucket": "wanted"},
    }
    found = read(changed(("service/downloader", downloader)), variables(tmp_path, given)).download
    assert (found.bucket, found.endpoint) == ("real", "http://minio:9000")
    assert (found.access_key, found.secret_key) == ("a", "s")


def test_without_the_variable_its_file_is_not_read():
    assert read(TODAY, {"ACG_CONFIG": "/no/such/file"}).incoming.kafka.servers == "kafka:29092"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("{", "expected a Clowder configuration: Invalid JSON"),
        ("[]", "expected a Clowder configuration: Input should be an object"),
        ({"kafka": {"brokers": [{"port": 1}]}}, r"kafka\.brokers\.0\.hostname: Field required"),
        ({"kafka": {"topics": ["a"]}}, r"kafka\.brokers: Field required"),
        ({"kafka": {"brokers": [{"hostname": "a", "authtype": "sasl"}]}}, "sasl.saslMechanism is missing"),
    ],
)
def test_a_file_that_is_not_clowders_is_told(tmp_path, given, line):
    with pytest.raises(ConfigurationError, match=line) as caught:
        read(TODAY, variables(tmp_path, given))
    assert "\n" not in str(caught.value)
