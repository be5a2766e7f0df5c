"""What a config.yaml asks for, read and checked, before anything is imported or connected."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from headrace.bus.consumption import Membership
from headrace.rules.evaluation.loading import RulesConfig
from headrace_services.rules_engine.config_yaml.kafka import KafkaAccess


class IncomingForm(StrEnum):
    """Kinds of messages that name an archive."""

    ANNOUNCEMENT = "announcement"
    SYNCED = "synced archive"
    IDP = "archive path"


class EngineForm(StrEnum):
    """What is made of an archive."""

    REPORT = "report"
    WORKLOAD_INFO = "workload info"


class OutgoingForm(StrEnum):
    """Kinds of messages that results go into; the last three go to no topic."""

    RULES = "rules result"
    WORKLOADS = "workload recommendations"
    WORKLOAD_INFO = "workload info"
    IDP_RULES = "rules result of a synced archive"
    STDOUT = "standard output"
    NOTHING = "nothing"
    OWN = "your own class"


class DownloadForm(StrEnum):
    """Ways to an archive's bytes."""

    PRESIGNED = "presigned URLs"
    ANY_URL = "any URL"
    OBJECTS = "keys of one bucket"
    FILES = "local paths"
    OWN = "your own class"


@dataclass(frozen=True)
class OwnClass:
    """A class of the user's own, by name; ``path`` is where the document names it."""

    path: str
    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Incoming:
    """The topic of messages, and on what terms they are taken. ``service`` empty: whatever their header says."""

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
    """How archives are fetched. Endpoint, bucket and keys are those of `DownloadForm.OBJECTS`."""

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
    """Where results go."""

    form: OutgoingForm
    topic: str = ""
    compressed: bool = False
    kafka: KafkaAccess | None = None
    own: OwnClass | None = None


@dataclass(frozen=True)
class Tracker:
    """Where payload statuses go, and under which name."""

    topic: str
    service_name: str
    kafka: KafkaAccess


@dataclass(frozen=True)
class Watchers:
    """Who looks on."""

    prometheus_port: int | None = None
    tracker: Tracker | None = None
    own: tuple[OwnClass, ...] = ()


@dataclass(frozen=True)
class Pipeline:
    """One config.yaml; ``notes`` are lines about what has no effect here."""

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
