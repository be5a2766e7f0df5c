"""A config.yaml as it is read, and each way in which it can be wrong."""

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace_services.rules_engine.config_yaml.document import read, read_file
from headrace_services.rules_engine.config_yaml.plan import (
    DownloadForm,
    EngineForm,
    IncomingForm,
    OutgoingForm,
)
from headrace_services.rules_engine.config_yaml.sizes import parse_bytes
from tests.unit.rules_engine.config_documents import TODAY, changed

CONSUMER = "service/consumer/kwargs/"
PUBLISHER = "service/publisher/kwargs/"
DOWNLOADER = "service/downloader/kwargs/"


def test_todays_vocabulary_is_understood_whole():
    plan = read(TODAY, {})
    assert plan.rules.packages == ("headrace.rule_pack",)
    assert plan.rules.configs == ({"name": "headrace.rule_pack.rules.clocks_skewed", "enabled": False},)
    incoming = plan.incoming
    assert (incoming.form, incoming.topic) == (IncomingForm.ANNOUNCEMENT, "platform.upload.announce")
    assert (incoming.group, incoming.service) == ("ccx_data_pipeline_app", "openshift")
    assert (incoming.dead_letter_topic, incoming.deadline_seconds) == ("dead.letter.queue", None)
    assert (incoming.kafka.servers, incoming.kafka.security_protocol) == ("kafka:29092", "PLAINTEXT")
    assert (incoming.membership.session_seconds, incoming.membership.heartbeat_seconds) == (20, 10)
    assert incoming.membership.max_poll_seconds == 600
    assert (plan.download.form, plan.download.max_bytes) == (DownloadForm.ANY_URL, 100 << 20)
    assert (plan.engine, plan.max_unpacked_bytes) == (EngineForm.REPORT, None)
    assert (plan.outgoing.form, plan.outgoing.topic) == (OutgoingForm.RULES, "ccx.ocp.results")
    assert not plan.outgoing.compressed
    assert plan.watchers.prometheus_port == 8001
    assert plan.watchers.tracker.topic == "platform.payload-status"
    assert plan.watchers.tracker.service_name == "ccx-data-pipeline"
    assert plan.logging["root"] == {"level": "WARNING", "handlers": ["default"]}


def test_variables_are_heeded():
    variables = {
        "KAFKA": "a:1,b:2",
        "CDP_GROUP_ID": "007",
        "TIMEOUT": "30",
        "UNSAFE": "FALSE",
        "COMPRESSION": "true",
        "SIZE_LIMIT": "1_000",
    }
    plan = read(TODAY, variables)
    assert plan.incoming.kafka.servers == plan.outgoing.kafka.servers == "a:1,b:2"
    # The framework would call the group 7.
    assert plan.incoming.group == "007"
    assert (plan.incoming.deadline_seconds, plan.max_unpacked_bytes) == (30, 1000)
    assert plan.download.form is DownloadForm.PRESIGNED
    assert plan.outgoing.compressed


def test_what_has_no_effect_is_named_in_a_line_each():
    notes = read(changed(("service/extract_timeout", 10)), {"SENTRY_ENABLED": "true"}).notes
    assert [note.partition(": without effect")[0] for note in notes] == [
        "SENTRY_ENABLED",
        "service.consumer.kwargs.max_record_age",
        "service.consumer.kwargs",
        "service.extract_timeout",
        "plugins.packages: ccx_messaging: is not installed; the parts that the pipeline needs are built in",
    ]
    assert "statistics.interval.ms" in notes[2]


SEED = """
plugins: {packages: [headrace.rule_pack]}
service:
  format: insights.formats._json.JsonFormat
  consumer:
    name: controller.consumer.Consumer
    kwargs:
      incoming_topic: plain
      incoming_topic_env: INCOMING
      group_id: plain
      group_id_env: GROUP
      bootstrap_servers: ["one:9092", "two:9092"]
      bootstrap_server_env: SERVER
  downloader: {name: insights_messaging.downloaders.httpfs.Http}
  publisher:
    name: controller.publisher.Publisher
    kwargs:
      outgoing_topic: plain
      outgoing_topic_env: OUTGOING
      bootstrap_servers: ["three:9092"]
  watchers:
    - name: controller.watchers.StatsWatcher
"""


@pytest.mark.parametrize(
    ("variables", "incoming", "outgoing"),
    [
        ({}, ("plain", "plain", "one:9092,two:9092"), ("plain", "three:9092")),
        (
            {"INCOMING": "in", "GROUP": "g", "SERVER": "only:1", "OUTGOING": "out"},
            ("in", "g", "only:1"),
            ("out", "three:9092"),
        ),
    ],
)
def test_in_the_documents_vocabulary_a_named_variable_goes_before_its_plain_twin(
    variables, incoming, outgoing
):
    plan = read(SEED, variables)
    assert (plan.incoming.topic, plan.incoming.group, plan.incoming.kafka.servers) == incoming
    assert (plan.outgoing.topic, plan.outgoing.kafka.servers) == outgoing
    assert plan.watchers.prometheus_port == 8000


@pytest.mark.parametrize("package", ["controller", "ccx_data_pipeline"])
def test_older_packages_are_known_wherever_they_kept_their_classes(package):
    plan = read(SEED.replace("controller.", f"{package}."), {})
    assert (plan.incoming.form, plan.watchers.prometheus_port) == (IncomingForm.ANNOUNCEMENT, 8000)


@pytest.mark.parametrize(
    ("changes", "form"),
    [
        (
            [
                (
                    "service/publisher/name",
                    "ccx_messaging.publishers.dvo_metrics_publisher.DVOMetricsPublisher",
                )
            ],
            "WORKLOADS",
        ),
        (
            [
                (
                    "service/publisher/name",
                    "ccx_messaging.publishers.workloads_info_publisher.WorkloadInfoPublisher",
                ),
                ("service/engine/name", "ccx_messaging.engines.sha_extractor_engine.SHAExtractorEngine"),
            ],
            "WORKLOAD_INFO",
        ),
        ([("service/publisher", {"name": "insights_messaging.publishers.Publisher"})], "NOTHING"),
        ([("service/publisher", {"name": "insights_messaging.publishers.cli.StdOut"})], "STDOUT"),
        ([("service/publisher-", None)], "STDOUT"),
        ([("service/publisher", {"name": "mine.Publisher"})], "OWN"),
    ],
)
def test_publishers(changes, form):
    assert read(changed(*changes), {}).outgoing.form is OutgoingForm[form]


@pytest.mark.parametrize(
    ("downloader", "form"),
    [
        ({"name": "insights_messaging.downloaders.localfs.LocalFS"}, "FILES"),
        ({"name": "insights_messaging.downloaders.httpfs.Http", "kwargs": {"chunk_size": 1}}, "ANY_URL"),
        ({"name": "ccx_messaging.downloaders.http_downloader.HTTPDownloader"}, "PRESIGNED"),
        (
            {
                "name": "ccx_messaging.downloaders.s3_downloader.S3Downloader",
                "kwargs": {"access_key": "a", "secret_key": "b", "endpoint_url": "http://s3", "bucket": "c"},
            },
            "OBJECTS",
        ),
        (
            {
                "name": "insights_messaging.downloaders.s3.S3Downloader",
                "kwargs": {"key": "a", "secret": "b", "client_kwargs": {"endpoint_url": "http://s3"}},
            },
            "OBJECTS",
        ),
        ({"name": "mine.Downloader", "args": ["1"], "kwargs": {"a": "true"}}, "OWN"),
    ],
)
def test_downloaders(downloader, form):
    found = read(changed(("service/downloader", downloader)), {}).download
    assert found.form is DownloadForm[form]
    if found.own:
        assert (found.own.args, found.own.kwargs) == ((1,), {"a": True})


def test_the_engines_own_arguments_go_before_the_services(tmp_path):
    kwargs = {
        "target_components": ["a.b"],
        "unpacked_archive_size_limit": 5,
        "extract_tmp_dir": str(tmp_path),
    }
    plan = read(changed(("service/engine/kwargs", kwargs), ("service/target_components", ["c"])), {})
    assert plan.rules.target_components == ("a.b",)
    assert (plan.max_unpacked_bytes, plan.rules.extract_directory) == (5, str(tmp_path))


def test_secured_kafka_is_reached_as_the_file_says(tmp_path):
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    settings = {
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": "pa$word",
        "ssl.ca.location": str(ca_file),
    }
    access = read(changed((f"{CONSUMER}kafka_broker_config", settings)), {}).incoming.kafka
    assert (access.security_protocol, access.sasl_mechanism) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (access.username, access.password, access.ca_file) == ("me", "pa$word", str(ca_file))
    assert "pa$word" not in repr(access)


def test_the_authors_own_anchors_are_left_alone():
    read(changed(("x-kafka", {"a": 1})), {})


WRONG = {
    "not YAML": ("service: [", "is not YAML: did not find expected node content in line 2"),
    "a list": ("- a", "got list, expected a mapping with plugins and service"),
    "empty": ("", "got NoneType, expected a mapping"),
    "no service": (
        "plugins: {}",
        "service.consumer: missing, expected a mapping with the name of a consumer's class",
    ),
    "a key that is a number": ("1: a", "got the key 1, expected text"),
    "an unknown section": (changed(("plugin", {})), "plugin: unknown key; did you mean 'plugins'?"),
    "an unknown key of service": (
        changed(("service/publishers", {})),
        "service.publishers: unknown key; did you mean 'publisher'?",
    ),
    "an unknown key of plugins": (
        changed(("plugins/package", [])),
        "plugins.package: unknown key; did you mean 'packages'?",
    ),
    "packages that are no list": (
        changed(("plugins/packages", 3)),
        "plugins.packages: got 3, expected a list of strings",
    ),
    "enabled that is no flag": (
        changed(("plugins/default_component_enabled", "perhaps")),
        "plugins.default_component_enabled: got 'perhaps', expected true or false",
    ),
    "a component's configuration without a name": (
        changed(("plugins/configs", [{"enabled": True}])),
        "plugins.configs[0].name: missing",
    ),
    "a component's unknown setting": (
        changed(("plugins/configs", [{"name": "a", "enable": True}])),
        "plugins.configs[0].enable: unknown key; did you mean 'enabled'?",
    ),
    "another format": (
        changed(("service/format", "insights.formats._yaml.YamlFormat")),
        "service.format: got 'insights.formats._yaml.YamlFormat', expected insights.formats._json.JsonFormat",
    ),
    "format among the engine's arguments": (
        changed(("service/engine/kwargs", {"format": "x"})),
        "service.engine.kwargs.format: unknown key; did you mean 'formatter'?",
    ),
    "a size limit that is no number": (
        changed(("service/unpacked_archive_size_limit", "big")),
        "service.unpacked_archive_size_limit: got 'big', expected a number of -1 or more",
    ),
    "a directory that is not there": (
        changed(("service/extract_tmp_dir", "/no/such/place")),
        "service.extract_tmp_dir: got '/no/such/place', expected a directory that exists",
    ),
    "no consumer": (changed(("service/consumer-", 0)), "service.consumer: missing"),
    "a consumer that is a text": (
        changed(("service/consumer", "x")),
        "service.consumer: got 'x', expected a mapping",
    ),
    "a consumer without a name": (
        changed(("service/consumer/name-", 0)),
        "service.consumer.name: missing",
    ),
    "a misspelt consumer": (
        changed(("service/consumer/name", "ccx_messaging.consumers.kafka_consumer.KafkaConsumr")),
        "which is not a supported consumer; did you mean 'ccx_messaging.consumers.kafka_consumer.KafkaConsumer'",
    ),
    "a consumer of one's own": (
        changed(("service/consumer/name", "mine.Consumer")),
        "service.consumer.name: got 'mine.Consumer', which is not a supported consumer",
    ),
    "a part that is elsewhere": (
        changed(("service/engine/name", "ccx_messaging.engines.s3_upload_engine.S3UploadEngine")),
        "which this engine does not include; the archiver copies archives: headrace serve archiver",
    ),
    "an engine of one's own": (
        changed(("service/engine/name", "mine.Engine")),
        "which is not a supported engine",
    ),
    "no positional arguments": (
        changed(("service/consumer/args", ["topic"])),
        "service.consumer.args: got ['topic'], expected no positional arguments",
    ),
    "no topic": (
        changed((f"{CONSUMER}incoming_topic-", 0)),
        "service.consumer.kwargs.incoming_topic: missing, expected the topic to consume",
    ),
    "a misspelt topic": (
        changed((f"{CONSUMER}incoming_topic-", 0), (f"{CONSUMER}incomming_topic", "a")),
        "service.consumer.kwargs.incomming_topic: unknown key; did you mean 'incoming_topic'?",
    ),
    "a topic that is a list": (
        changed((f"{CONSUMER}incoming_topic", ["a"])),
        "service.consumer.kwargs.incoming_topic: got ['a'], expected text",
    ),
    "a variable that is not set": (
        changed((f"{CONSUMER}incoming_topic", "$NO_SUCH")),
        "got '$NO_SUCH', but the variable NO_SUCH is not set",
    ),
    "a named variable that is not set": (
        changed((f"{CONSUMER}incoming_topic-", 0), (f"{CONSUMER}incoming_topic_env", "NO_SUCH")),
        (
            "service.consumer.kwargs.incoming_topic_env: got 'NO_SUCH', expected the name of an environment variable"
            " that is set"
        ),
    ),
    "no group": (changed((f"{CONSUMER}group.id-", 0)), "service.consumer.kwargs.group_id: missing"),
    "no broker": (
        changed((f"{PUBLISHER}bootstrap.servers-", 0)),
        "service.publisher.kwargs.bootstrap.servers: missing, expected a list of host:port",
    ),
    "a broker without a port": (
        changed((f"{CONSUMER}bootstrap.servers", "kafka")),
        "service.consumer.kwargs.bootstrap.servers: got 'kafka', expected a list of host:port",
    ),
    "a misspelt setting of Kafka": (
        changed((f"{CONSUMER}heartbeat.intervall.ms", 1)),
        "heartbeat.intervall.ms: unknown key; did you mean 'heartbeat.interval.ms'",
    ),
    "an unknown protocol": (
        changed((f"{CONSUMER}security.protocol", "TLS")),
        "service.consumer.kwargs.security.protocol: got 'TLS', expected one of PLAINTEXT, SSL",
    ),
    "a mechanism that is not supported": (
        changed((f"{CONSUMER}security.protocol", "SASL_SSL"), (f"{CONSUMER}sasl.mechanism", "GSSAPI")),
        "sasl.mechanism: got 'GSSAPI', expected one of PLAIN",
    ),
    "a CA that is not there": (
        changed((f"{CONSUMER}security.protocol", "SSL"), (f"{CONSUMER}ssl.ca.location", "/no/ca.pem")),
        "ssl.ca.location: got '/no/ca.pem', expected a PEM file that can be read",
    ),
    "a client certificate": (
        changed((f"{CONSUMER}ssl.key.password", "hunter2")),
        "service.consumer.kwargs.ssl.key.password: got ***, expected nothing: this setting is not supported",
    ),
    "a heartbeat longer than the session": (
        changed((f"{CONSUMER}heartbeat.interval.ms", 30000)),
        "heartbeat.interval.ms: got 30000, expected less than session.timeout.ms (20000)",
    ),
    "a timeout that is not a number": (
        changed((f"{CONSUMER}processing_timeout_s", "nan")),
        "processing_timeout_s: got 'nan', expected a number",
    ),
    "a negative timeout": (
        changed((f"{CONSUMER}processing_timeout_s", -1)),
        "processing_timeout_s: got -1, expected a number of 0 or more",
    ),
    "an unreadable size": (
        changed((f"{DOWNLOADER}max_archive_size", "100 PB")),
        "max_archive_size: got '100 PB', expected a size such as 100MB",
    ),
    "a misspelt downloader": (
        changed(("service/downloader/name", "ccx_messaging.downloaders.http_downloader.HTTPDownlaoder")),
        "did you mean 'ccx_messaging.downloaders.http_downloader.HTTPDownloader' or",
    ),
    "a downloader's unknown key": (
        changed((f"{DOWNLOADER}allow_unsafe", 1)),
        "service.downloader.kwargs.allow_unsafe: unknown key; did you mean 'allow_unsafe_link",
    ),
    "an S3 downloader without a bucket": (
        changed(
            ("service/downloader/name", "ccx_messaging.downloaders.s3_downloader.S3Downloader"),
            ("service/downloader/kwargs", {"endpoint": "http://s3", "access_key": "a", "secret_key": "b"}),
        ),
        "service.downloader.kwargs.bucket: missing, expected the bucket's name",
    ),
    "a misspelt publisher": (
        changed(
            ("service/publisher/name", "ccx_messaging.publishers.rule_processing.RuleProcessingPublisher")
        ),
        "did you mean 'ccx_messaging.publishers.rule_processing_publisher.RuleProcessingPublisher'",
    ),
    "a name without a module": (
        changed(("service/publisher/name", "Publisher")),
        "service.publisher.name: got 'Publisher'; did you mean",
    ),
    "a publisher that does not fit the engine": (
        changed(
            (
                "service/publisher/name",
                "ccx_messaging.publishers.workloads_info_publisher.WorkloadInfoPublisher",
            )
        ),
        "service.publisher.name: publishes the workload info, but service.engine.name makes the report",
    ),
    "watchers that are no list": (
        changed(("service/watchers", {})),
        "service.watchers: got {}, expected a list",
    ),
    "a watcher that is a text": (
        changed(("service/watchers", ["x"])),
        "service.watchers[0]: got 'x', expected a mapping",
    ),
    "a misspelt watcher": (
        changed(("service/watchers/0/name", "ccx_messaging.watchers.stats_watcher.StatWatcher")),
        "StatWatcher'; did you mean 'ccx_messaging.watchers.stats_watcher.StatsWatcher'",
    ),
    "a port that is none": (
        changed(("service/watchers/0/kwargs", {"prometheus_port": 70000})),
        "service.watchers[0].kwargs.prometheus_port: got 70000, expected a port number",
    ),
    "a tracker without a topic": (
        changed(("service/watchers/2/kwargs", {"bootstrap.servers": "a:1"})),
        "service.watchers[2].kwargs.topic: missing, expected the topic of payload statuses",
    ),
    "logging that is no mapping": (
        changed(("service/logging", "x")),
        "service.logging: got 'x', expected a mapping",
    ),
}


@pytest.mark.parametrize(("text", "line"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_told_in_one_line(text, line):
    with pytest.raises(ConfigurationError) as caught:
        read(text, {})
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_files_name_stands_in_front(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("- a", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"config\.yaml: got list"):
        read_file(path, {})


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff", "is not UTF-8"),
        (b"#" * (1 << 20) + b"#", "has more than"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path, content, line):
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=line):
        read_file(path, {})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1B", 1),
        ("100MB", 10**8),
        ("100 M", 10**8),
        ("1.5 KiB", 1536),
        ("2Gi", 2 << 30),
        ("1T", 10**12),
        ("1 kb", None),
        ("", None),
        ("-1", None),
        ("M", None),
    ],
)
def test_sizes(text, size):
    assert parse_bytes(text) == size
