"""The checked content of a config.yaml, before anything is imported or connected."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from headrace.bus.consumption import Membership
from headrace.rules.evaluation.loading import RulesConfig
from headrace_services.rules_engine.config_yaml.kafka import KafkaAccess


class IncomingForm(StrEnum):
    """The kinds of messages that name an archive."""

    ANNOUNCEMENT = "announcement"
    SYNCED = "synced archive"
    IDP = "archive path"


class EngineForm(StrEnum):
    """The kinds of output for an archive."""

    REPORT = "report"
    WORKLOAD_INFO = "workload info"


class OutgoingForm(StrEnum):
    """The kinds of messages with results; the last three go to no topic."""

    RULES = "rules result"
    WORKLOADS = "workload recommendations"
    WORKLOAD_INFO = "workload info"
    IDP_RULES = "rules result of a synced archive"
    STDOUT = "standard output"
    NOTHING = "nothing"
    OWN = "your own class"


class DownloadForm(StrEnum):
    """The ways to an archive's bytes."""

    PRESIGNED = "presigned URLs"
    ANY_URL = "any URL"
    OBJECTS = "keys of one bucket"
    FILES = "local paths"
    OWN = "your own class"


@dataclass(frozen=True)
class OwnClass:
    """A class of the user, by name; ``path`` is its place in the document."""

    path: str
    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Incoming:
    """The topic of incoming messages and the terms of its consumption. Without ``service`` no header is checked."""

    form: IncomingForm
    topic: str
    group: str
    kafka: KafkaAccess
    membership: Membership
    service: str = ""
    dead_letter_topic: str = ""
    deadline_seconds: float | None = None


@dataclass(frozen=True)
class Download:
    """How archives are downloaded. Endpoint, bucket and keys belong to `DownloadForm.OBJECTS`."""

    form: DownloadForm
    max_bytes: int | None = None
    endpoint: str = ""
    bucket: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    own: OwnClass | None = None


@dataclass(frozen=True)
class Outgoing:
    """The target of results."""

    form: OutgoingForm
    topic: str = ""
    compressed: bool = False
    kafka: KafkaAccess | None = None
    own: OwnClass | None = None


@dataclass(frozen=True)
class Tracker:
    """The topic of payload statuses, and the name of the service in them."""

    topic: str
    service_name: str
    kafka: KafkaAccess


@dataclass(frozen=True)
class Watchers:
    """The watchers."""

    prometheus_port: int | None = None
    tracker: Tracker | None = None
    own: tuple[OwnClass, ...] = ()


@dataclass(frozen=True)
class Pipeline:
    """The plan of one config.yaml; ``notes`` are lines about settings without effect."""

    rules: RulesConfig
    max_unpacked_bytes: int | None
    engine: EngineForm
    incoming: Incoming
    download: Download
    outgoing: Outgoing
    watchers: Watchers
    logging: Mapping[str, Any] | None
    logging_configurator: OwnClass | None
    notes: tuple[str, ...]
