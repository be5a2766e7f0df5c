"""Whole config.yaml files for tests, changed by key."""

import yaml
from yaml import CSafeDumper, CSafeLoader

TODAY = """
plugins:
  default_component_enabled: true
  packages: [headrace.rule_pack, ccx_messaging]
  configs:
    - {name: headrace.rule_pack.rules.clocks_skewed, enabled: false}
service:
  extract_timeout: ${EXTRACT_TIMEOUT:}
  extract_tmp_dir:
  unpacked_archive_size_limit: ${SIZE_LIMIT:-1}
  format: insights.formats._json.JsonFormat
  target_components: []
  consumer:
    name: ccx_messaging.consumers.kafka_consumer.KafkaConsumer
    kwargs:
      incoming_topic: ${CDP_INCOMING_TOPIC:platform.upload.announce}
      platform_service: openshift
      dead_letter_queue_topic: ${DLQ:dead.letter.queue}
      max_record_age: -1
      group.id: "${CDP_GROUP_ID:ccx_data_pipeline_app}"
      bootstrap.servers: "${KAFKA:kafka:29092}"
      processing_timeout_s: "${TIMEOUT:0}"
      max.poll.interval.ms: 600000
      heartbeat.interval.ms: 10000
      session.timeout.ms: 20000
      statistics.interval.ms: 0
  downloader:
    name: ccx_messaging.downloaders.http_downloader.HTTPDownloader
    kwargs: {max_archive_size: 100MiB, allow_unsafe_links: "${UNSAFE:true}"}
  engine:
    name: ccx_messaging.engines.ocp_engine.OCPEngine
  publisher:
    name: ccx_messaging.publishers.rule_processing_publisher.RuleProcessingPublisher
    kwargs:
      outgoing_topic: ccx.ocp.results
      bootstrap.servers: "${KAFKA:kafka:29092}"
      compression: "${COMPRESSION:}"
  watchers:
    - name: ccx_messaging.watchers.stats_watcher.StatsWatcher
      kwargs: {prometheus_port: 8001}
    - name: ccx_messaging.watchers.cluster_id_watcher.ClusterIdWatcher
    - name: ccx_messaging.watchers.payload_tracker_watcher.PayloadTrackerWatcher
      kwargs: {topic: platform.payload-status, bootstrap.servers: "${KAFKA:kafka:29092}"}
  logging:
    version: 1
    disable_existing_loggers: false
    handlers:
      default: {level: INFO, class: logging.StreamHandler, stream: "ext://sys.stdout", formatter: default}
    formatters:
      default: {format: "%(asctime)s %(name)s %(levelname)-8s %(message)s", datefmt: "%Y-%m-%d %H:%M:%S"}
    root: {level: WARNING, handlers: [default]}
    loggers: {ccx_messaging: {level: INFO}}
"""


def changed(*changes, text=TODAY):
    """The document with (dotted path, value) changes; a path that ends with - is taken out."""
    document = yaml.load(text, CSafeLoader)
    for path, value in changes:
        *parents, last = path.split("/")
        at = document
        for part in parents:
            at = at[int(part) if part.isdigit() else part]
        if last.endswith("-"):
            del at[last[:-1]]
        else:
            at[int(last) if last.isdigit() else last] = value
    return yaml.dump(document, Dumper=CSafeDumper)
