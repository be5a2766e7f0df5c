"""The only table of the class names in all generations of the pipeline, and of their counterparts here.

The oldest pipeline's package is ``controller`` (its document names only the modules ``consumer`` and ``publisher``),
then ``ccx_data_pipeline``, today ``ccx_messaging`` on top of ``insights_messaging``. In the older two, classes moved
between modules, so that only the class name identifies one.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from headrace.runtime.errors import ConfigurationError
from headrace_services.rules_engine.config_yaml.plan import (
    DownloadForm,
    EngineForm,
    IncomingForm,
    OutgoingForm,
)

T = TypeVar("T")

_OLDER: Final = ("controller.", "ccx_data_pipeline.")

CONSUMERS: Final[Mapping[str, IncomingForm]] = {
    "controller.consumer.Consumer": IncomingForm.ANNOUNCEMENT,
    "ccx_messaging.consumers.kafka_consumer.KafkaConsumer": IncomingForm.ANNOUNCEMENT,
    "ccx_messaging.consumers.synced_archive_consumer.SyncedArchiveConsumer": IncomingForm.SYNCED,
    "ccx_messaging.consumers.idp_kafka_consumer.IDPConsumer": IncomingForm.IDP,
}
DOWNLOADERS: Final[Mapping[str, DownloadForm]] = {
    "ccx_messaging.downloaders.http_downloader.HTTPDownloader": DownloadForm.PRESIGNED,
    "ccx_messaging.downloaders.s3_downloader.S3Downloader": DownloadForm.OBJECTS,
    "insights_messaging.downloaders.httpfs.Http": DownloadForm.ANY_URL,
    "insights_messaging.downloaders.s3.S3Downloader": DownloadForm.OBJECTS,
    "insights_messaging.downloaders.localfs.LocalFS": DownloadForm.FILES,
}
ENGINES: Final[Mapping[str, EngineForm]] = {
    "insights_messaging.engine.Engine": EngineForm.REPORT,
    "ccx_messaging.engines.ocp_engine.OCPEngine": EngineForm.REPORT,
    "ccx_messaging.engines.sha_extractor_engine.SHAExtractorEngine": EngineForm.WORKLOAD_INFO,
}
PUBLISHERS: Final[Mapping[str, OutgoingForm]] = {
    "controller.publisher.Publisher": OutgoingForm.RULES,
    "ccx_data_pipeline.kafka_publisher.KafkaPublisher": OutgoingForm.RULES,
    "ccx_messaging.publishers.rule_processing_publisher.RuleProcessingPublisher": OutgoingForm.RULES,
    "ccx_messaging.publishers.dvo_metrics_publisher.DVOMetricsPublisher": OutgoingForm.WORKLOADS,
    "ccx_messaging.publishers.workloads_info_publisher.WorkloadInfoPublisher": OutgoingForm.WORKLOAD_INFO,
    "ccx_messaging.publishers.idp_rule_processing_publisher.IDPRuleProcessingPublisher": OutgoingForm.IDP_RULES,
    "insights_messaging.publishers.cli.StdOut": OutgoingForm.STDOUT,
    "insights_messaging.publishers.Publisher": OutgoingForm.NOTHING,
}
STATS: Final = "stats"
CLUSTER_ID: Final = "cluster id"
TRACKER: Final = "payload tracker"
COMPONENT_TIMES: Final = "component times"
WATCHERS: Final[Mapping[str, str]] = {
    "ccx_messaging.watchers.stats_watcher.StatsWatcher": STATS,
    "ccx_messaging.watchers.cluster_id_watcher.ClusterIdWatcher": CLUSTER_ID,
    "ccx_messaging.watchers.payload_tracker_watcher.PayloadTrackerWatcher": TRACKER,
    "insights_messaging.watchers.stats.LocalStatWatcher": COMPONENT_TIMES,
}
# Parts of the pipelines that do not belong to this engine, each with the service that does their work here.
ELSEWHERE: Final[Mapping[str, str]] = {
    "ccx_messaging.engines.s3_upload_engine.S3UploadEngine": "the archiver copies archives: headrace serve archiver",
    "ccx_messaging.publishers.synced_archive_publisher.SyncedArchivePublisher": (
        "the archiver announces its copies on ccx.archive.synced: headrace serve archiver"
    ),
    "ccx_messaging.consumers.rules_results_consumer.RulesResultsConsumer": (
        "the results aggregator keeps reports: headrace serve results_aggregator"
    ),
    "ccx_messaging.consumers.decoded_ingress_consumer.DecodedIngressConsumer": "name KafkaConsumer",
    "ccx_messaging.engines.multiplexor_engine.MultiplexorEngine": "run a separate pipeline for each kind of archive",
    "ccx_messaging.publishers.multiplexor_publisher.MultiplexorPublisher": (
        "run a separate pipeline for each kind of archive"
    ),
    "insights_messaging.consumers.cli.Interactive": "headrace rules try ARCHIVE shows what rules find in an archive",
    "insights_messaging.consumers.kafka.Kafka": (
        "it is a base class; name ccx_messaging.consumers.kafka_consumer.KafkaConsumer"
    ),
    "insights_messaging.consumers.rabbitmq.RabbitMQ": "only Kafka is supported for messages",
    "insights_messaging.publishers.rabbitmq.RabbitMQ": "only Kafka is supported for results",
}
# Packages of the pipeline with classes of this table and no rules; nothing is missing if they are not installed.
PIPELINE_PACKAGES: Final = frozenset(
    {"ccx_messaging", "insights_messaging", "controller", "ccx_data_pipeline"}
)


def known(table: Mapping[str, T], name: str, path: str) -> T | None:
    """Return the counterpart of a class; None for a class of the user.

    Raises:
        ConfigurationError: the class belongs to a part of the pipelines that is elsewhere here.
    """
    if name in ELSEWHERE:
        raise ConfigurationError(
            f"{path}: got {name!r}, which this engine does not include; {ELSEWHERE[name]}"
        )
    if name in table:
        return table[name]
    if name.startswith(_OLDER):
        return next((form for other, form in table.items() if _class(other) == _class(name)), None)
    return None


def _class(name: str) -> str:
    return name.rpartition(".")[2]
