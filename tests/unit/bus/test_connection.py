import ssl

import pytest

from headrace.bus.connection import client_arguments
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings


def test_a_plain_broker_needs_neither_tls_nor_password():
    arguments = client_arguments(EngineSettings(kafka="a:1,b:2"), client_id="x")
    assert arguments["bootstrap_servers"] == "a:1,b:2"
    assert not {"ssl_context", "sasl_mechanism"} & arguments.keys()


def test_sasl_over_tls_is_passed_on():
    settings = EngineSettings(
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_username="u",
        kafka_password="p",
    )
    arguments = client_arguments(settings, client_id="x")
    assert isinstance(arguments["ssl_context"], ssl.SSLContext)
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("u", "p")


def test_an_unreadable_ca_is_named_in_one_line():
    settings = EngineSettings(kafka_security_protocol="SSL", kafka_ca_file="/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match=r"HEADRACE_KAFKA_CA_FILE: got '/nowhere/ca.pem'"):
        client_arguments(settings, client_id="x")
