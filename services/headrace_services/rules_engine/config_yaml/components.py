"""The parts of a service: consumer, downloader, engine, publisher, watchers, each a class with arguments."""

import importlib.util
from collections.abc import Mapping
from typing import Any, Final

from headrace.runtime.errors import ConfigurationError
from headrace_services.rules_engine.config_yaml import kafka, names
from headrace_services.rules_engine.config_yaml.librdkafka import PROPERTIES
from headrace_services.rules_engine.config_yaml.plan import (
    Download,
    DownloadForm,
    EngineForm,
    Incoming,
    Outgoing,
    OutgoingForm,
    OwnClass,
    Tracker,
    Watchers,
)
from headrace_services.rules_engine.config_yaml.section import Section, suggestion
from headrace_services.rules_engine.config_yaml.sizes import EXPECTED, parse_bytes
from headrace_services.rules_engine.config_yaml.templates import retyped

DEFAULT_PROMETHEUS_PORT: Final = 8000
DEFAULT_TRACKED_NAME: Final = "ccx-data-pipeline"

_COMMITS: Final = "an offset is committed after its message has ended"
_CONSUMER_KEYS: Final = {
    "enable.auto.commit": _COMMITS,
    "auto.commit.interval.ms": _COMMITS,
    "auto.offset.reset": "a new group starts at the earliest message",
    "max_record_age": "no message is dropped because of its age",
    "metric_interval": "its measurements are always on",
}


def importable(name: str) -> bool:
    """Return whether a module can be found (its own imports may still fail)."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def own(service: Section, key: str) -> OwnClass:
    """Return a class of the user with its arguments."""
    part = service.section(key)
    name, args, kwargs = _part(part)
    part.finish()
    return OwnClass(part.path, name, args, retyped(kwargs.values))


def incoming(service: Section, variables: Mapping[str, str]) -> Incoming:
    """Read ``service.consumer``."""
    part, name, _, kwargs = _opened(service, "consumer", names.CONSUMERS, "the name of a consumer's class")
    form = names.known(names.CONSUMERS, name, part.at("name"))
    if form is None:
        raise ConfigurationError(
            f"{part.at('name')}: got {name!r}, which is not a supported consumer; "
            f"{suggestion(name, names.CONSUMERS)}"
        )
    kwargs = kafka.broker_section(kwargs)
    timeout = kwargs.number("processing_timeout_s", least=0)
    found = Incoming(
        form=form,
        topic=_required(kwargs, "incoming_topic", variables, "the topic to consume"),
        group=_required(kwargs, "group_id", variables, "the name of the consumers' group", "group.id"),
        kafka=kafka.read_access(kwargs, variables),
        membership=kafka.read_membership(kwargs),
        service=kwargs.text("platform_service"),
        dead_letter_topic=kwargs.text("dead_letter_queue_topic"),
        deadline_seconds=timeout or None,
    )
    kafka.note_ignored(kwargs, _CONSUMER_KEYS)
    kwargs.finish(also=PROPERTIES)
    return found


def download(service: Section, variables: Mapping[str, str]) -> Download:
    """Read ``service.downloader``."""
    if not service.has("downloader"):
        return Download(DownloadForm.FILES)
    part, name, args, kwargs = _opened(
        service, "downloader", names.DOWNLOADERS, "the name of a downloader's class"
    )
    form = names.known(names.DOWNLOADERS, name, part.at("name"))
    if form is None:
        return Download(DownloadForm.OWN, own=_own(part, name, args, kwargs, names.DOWNLOADERS))
    for key in ("tmp_dir", "chunk_size"):
        kwargs.without_effect(key, "archives are kept in memory")
    if form is DownloadForm.OBJECTS:
        found = _objects(kwargs, with_bucket=name.startswith("ccx_messaging."))
    else:
        found = _urls(form, kwargs, variables)
    kwargs.finish()
    return found


def engine(service: Section) -> tuple[EngineForm, Section]:
    """Read ``service.engine``; return its form, and its arguments, which callers read and finish."""
    if not service.has("engine"):
        return EngineForm.REPORT, Section("service.engine.kwargs", {}, service.notes)
    part, name, _, kwargs = _opened(service, "engine", names.ENGINES, "the name of an engine's class")
    form = names.known(names.ENGINES, name, part.at("name"))
    if form is None:
        raise ConfigurationError(
            f"{part.at('name')}: got {name!r}, which is not a supported engine; "
            f"{suggestion(name, names.ENGINES)}"
        )
    return form, kwargs


def outgoing(service: Section, variables: Mapping[str, str]) -> Outgoing:
    """Read ``service.publisher``."""
    if not service.has("publisher"):
        return Outgoing(OutgoingForm.STDOUT)
    part, name, args, kwargs = _opened(
        service, "publisher", names.PUBLISHERS, "the name of a publisher's class"
    )
    form = names.known(names.PUBLISHERS, name, part.at("name"))
    if form is None:
        return Outgoing(OutgoingForm.OWN, own=_own(part, name, args, kwargs, names.PUBLISHERS))
    if form in {OutgoingForm.STDOUT, OutgoingForm.NOTHING}:
        kwargs.finish()
        return Outgoing(form)
    kwargs = kafka.broker_section(kwargs)
    found = Outgoing(
        form,
        topic=_required(kwargs, "outgoing_topic", variables, "the topic for results"),
        compressed=bool(retyped(kwargs.raw("compression"))),
        kafka=kafka.read_access(kwargs, variables),
    )
    kafka.note_ignored(kwargs, {})
    kwargs.finish(also=PROPERTIES)
    return found


def watchers(service: Section, variables: Mapping[str, str]) -> Watchers:
    """Read ``service.watchers``."""
    port: int | None = None
    tracker: Tracker | None = None
    owned: list[OwnClass] = []
    for number, entry in enumerate(service.items("watchers")):
        path = f"watchers[{number}]"
        part, name, args, kwargs = _opened(
            Section(service.path, {path: entry}, service.notes),
            path,
            names.WATCHERS,
            "the name of a watcher's class",
        )
        kind = names.known(names.WATCHERS, name, part.at("name"))
        if kind is None:
            owned.append(_own(part, name, args, kwargs, names.WATCHERS))
            continue
        if kind == names.STATS:
            port = _port(kwargs)
        elif kind == names.TRACKER:
            kwargs = kafka.broker_section(kwargs)
            tracker = Tracker(
                topic=kwargs.required_text("topic", "the topic of payload statuses"),
                service_name=kwargs.text("service_name", DEFAULT_TRACKED_NAME),
                kafka=kafka.read_access(kwargs, variables),
            )
            kafka.note_ignored(kwargs, {})
        elif kind == names.COMPONENT_TIMES:
            service.notes.append(f"{part.path}: without effect: the times of components are not printed")
        kwargs.finish()
    return Watchers(port, tracker, tuple(owned))


def _port(kwargs: Section) -> int:
    port = kwargs.number("prometheus_port", DEFAULT_PROMETHEUS_PORT, least=0)
    if port > 65535 or port != int(port):
        kwargs.wrong("prometheus_port", "a port number")
    return int(port)


def _urls(form: DownloadForm, kwargs: Section, variables: Mapping[str, str]) -> Download:
    if form is DownloadForm.PRESIGNED and any(
        kwargs.flag(key) for key in ("allow_unsafe_links", "allow_unsafe_link")
    ):
        form = DownloadForm.ANY_URL
    max_bytes = None
    if kwargs.has("max_archive_size"):
        max_bytes = parse_bytes(kwargs.text("max_archive_size"))
        if max_bytes is None:
            kwargs.wrong("max_archive_size", EXPECTED)
    return Download(
        form,
        max_bytes=max_bytes,
        username=variables.get("httpfs_username", ""),
        password=variables.get("httpfs_password", ""),
    )


def _objects(kwargs: Section, *, with_bucket: bool) -> Download:
    if not with_bucket:
        client = kwargs.section("client_kwargs")
        endpoint = client.text("endpoint_url")
        for key in ("region_name", "verify", "use_ssl"):
            client.without_effect(key, "Headrace uses another client")
        client.finish()
        return Download(
            DownloadForm.OBJECTS,
            endpoint=endpoint,
            access_key=kwargs.text("key"),
            secret_key=kwargs.text("secret"),
        )
    endpoint = kwargs.text("endpoint") or kwargs.text("endpoint_url")
    return Download(
        DownloadForm.OBJECTS,
        endpoint=endpoint or kwargs.required_text("endpoint", "the URL of an S3 server"),
        bucket=kwargs.required_text("bucket", "the bucket's name"),
        access_key=kwargs.required_text("access_key", "an S3 access key"),
        secret_key=kwargs.required_text("secret_key", "an S3 secret key"),
    )


def _opened(
    service: Section, key: str, table: Mapping[str, Any], expected: str
) -> tuple[Section, str, tuple[Any, ...], Section]:
    """Return a part's section, class name and arguments; positional arguments are only for the user's own classes."""
    if not service.has(key):
        service.required_text(key, f"a mapping with {expected}, such as {next(iter(table))}")
    part = service.section(key)
    name, args, kwargs = _part(part, expected)
    part.finish()
    if args and names.known(table, name, part.at("name")) is not None:
        part.wrong("args", "no positional arguments; use kwargs instead")
    return part, name, args, kwargs


def _part(
    part: Section, expected: str = "the dotted name of a class"
) -> tuple[str, tuple[Any, ...], Section]:
    name = part.required_text("name", expected)
    return name, tuple(retyped(part.items("args"))), part.section("kwargs")


def _own(
    part: Section, name: str, args: tuple[Any, ...], kwargs: Section, table: Mapping[str, Any]
) -> OwnClass:
    module = name.rpartition(".")[0]
    if not module or (name.partition(".")[0] in names.PIPELINE_PACKAGES and not importable(module)):
        raise ConfigurationError(f"{part.at('name')}: got {name!r}; {suggestion(name, table)}")
    return OwnClass(part.path, name, args, retyped(kwargs.values))


def _required(kwargs: Section, key: str, variables: Mapping[str, str], expected: str, *aliases: str) -> str:
    found = kafka.text_or_variable(kwargs, key, variables, *aliases)
    return found or kwargs.missing(key, expected)
