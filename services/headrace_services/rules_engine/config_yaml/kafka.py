"""The Kafka settings of a config.yaml: librdkafka's settings, or the older lists and names of variables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from headrace.bus.consumption import Membership
from headrace.runtime.settings import EngineSettings
from headrace_services.rules_engine.config_yaml.librdkafka import PROPERTIES
from headrace_services.rules_engine.config_yaml.section import Section

_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SERVERS: Final = "a list of host:port, as in bootstrap.servers: kafka:9092"
# Settings that would weaken or change authentication must not be ignored.
_NOT_SUPPORTED: Final = frozenset(
    name
    for name in PROPERTIES
    if name.startswith(("ssl.", "sasl.")) and name not in {"ssl.ca.location", "sasl.mechanism"}
    if not name.startswith(("ssl.cipher", "ssl.curves", "ssl.sigalgs", "ssl.endpoint", "sasl.mechanisms"))
    if name not in {"sasl.username", "sasl.password"}
)


@dataclass(frozen=True)
class KafkaAccess:
    """The address and credentials of a Kafka; consumer and publisher may have different ones."""

    servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    def engines(self, base: EngineSettings) -> EngineSettings:
        """Return the platform's engines with this Kafka instead of their own."""
        return base.model_copy(
            update={
                "kafka": self.servers,
                "kafka_security_protocol": self.security_protocol,
                "kafka_sasl_mechanism": self.sasl_mechanism,
                "kafka_username": self.username,
                "kafka_password": self.password,
                "kafka_ca_file": self.ca_file,
            }
        )


def broker_section(kwargs: Section) -> Section:
    """Return a section in which ``kafka_broker_config`` takes precedence over the settings beside it."""
    inner = kwargs.section("kafka_broker_config")
    values = {name: value for name, value in kwargs.values.items() if name != "kafka_broker_config"}
    return replace(kwargs, values={**values, **inner.values})


def text_or_variable(kwargs: Section, key: str, variables: Mapping[str, str], *aliases: str) -> str:
    """Return a text, or the value of the variable that ``<key>_env`` names, which takes precedence if it is set."""
    variable = kwargs.text(f"{key}_env")
    plain = next(filter(None, (kwargs.text(name) for name in (key, *aliases))), "")
    if variable and not (variables.get(variable) or plain):
        kwargs.wrong(f"{key}_env", "the name of an environment variable that is set")
    return (variables.get(variable) if variable else "") or plain


def read_access(kwargs: Section, variables: Mapping[str, str]) -> KafkaAccess:
    """Read the connection to a Kafka; `note_ignored` handles other settings of librdkafka."""
    protocol = kwargs.text("security.protocol", "PLAINTEXT").upper()
    if protocol not in _PROTOCOLS:
        kwargs.wrong("security.protocol", f"one of {', '.join(_PROTOCOLS)}")
    mechanism = kwargs.text("sasl.mechanisms") or kwargs.text("sasl.mechanism", "PLAIN")
    if protocol.startswith("SASL") and mechanism not in _MECHANISMS:
        kwargs.wrong(
            "sasl.mechanisms" if kwargs.has("sasl.mechanisms") else "sasl.mechanism",
            f"one of {', '.join(_MECHANISMS)}",
        )
    for key in sorted(_NOT_SUPPORTED & kwargs.values.keys()):
        kwargs.wrong(
            key,
            ("nothing: this setting is not supported, and ignoring it would change which peers are trusted"),
        )
    ca_file = kwargs.text("ssl.ca.location")
    if ca_file and protocol.endswith("SSL") and not Path(ca_file).is_file():
        kwargs.wrong("ssl.ca.location", "a PEM file that can be read")
    return KafkaAccess(
        servers=_servers(kwargs, variables),
        security_protocol=protocol,
        sasl_mechanism=mechanism,
        username=kwargs.text("sasl.username"),
        password=kwargs.text("sasl.password"),
        ca_file=ca_file,
    )


def _servers(kwargs: Section, variables: Mapping[str, str]) -> str:
    variable = kwargs.text("bootstrap_server_env")
    one = variables.get(variable, "") if variable else ""
    lists = [kwargs.raw(name) for name in ("bootstrap_servers", "bootstrap.servers", "metadata.broker.list")]
    if not one and not any(lists):
        if variable:
            kwargs.wrong("bootstrap_server_env", "the name of an environment variable that is set")
        kwargs.required_text("bootstrap.servers", _SERVERS)
    if one:
        return one
    key = next(
        name
        for name in ("bootstrap_servers", "bootstrap.servers", "metadata.broker.list")
        if kwargs.raw(name)
    )
    value = kwargs.raw(key)
    servers = ",".join(kwargs.texts(key)) if isinstance(value, list) else kwargs.text(key)
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit():
            kwargs.wrong(key, _SERVERS)
    return servers


def read_membership(kwargs: Section) -> Membership:
    """Read how long the broker waits for a member of the group."""
    usual = Membership()
    session = kwargs.number("session.timeout.ms", usual.session_seconds * 1000, least=1000) / 1000
    heartbeat = kwargs.number("heartbeat.interval.ms", usual.heartbeat_seconds * 1000, least=1) / 1000
    max_poll = kwargs.number("max.poll.interval.ms", usual.max_poll_seconds * 1000, least=1000) / 1000
    if heartbeat >= session:
        kwargs.wrong("heartbeat.interval.ms", f"less than session.timeout.ms ({session * 1000:g})")
    return replace(
        usual,
        session_seconds=session,
        heartbeat_seconds=heartbeat,
        max_poll_seconds=max(max_poll, usual.rebalance_seconds),
    )


def note_ignored(kwargs: Section, why: Mapping[str, str]) -> None:
    """Note librdkafka's ignored settings in one line, and say ``why`` for those that matter."""
    for key, reason in why.items():
        kwargs.without_effect(key, reason)
    ignored = [key for key in _unread(kwargs) if key in PROPERTIES]
    for key in ignored:
        kwargs.raw(key)
    if ignored:
        kwargs.notes.append(
            f"{kwargs.path}: without effect: {', '.join(ignored)}: these are settings of librdkafka, which "
            "Headrace does not use"
        )


def _unread(kwargs: Section) -> Iterable[str]:
    return [key for key in kwargs.values if key not in kwargs.seen]
