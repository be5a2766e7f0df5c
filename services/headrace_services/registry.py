"""Every service, in the order of the flow. The one table that says what each consumes, produces and owns."""

from typing import Final

from headrace.bus.consumption import Consumption
from headrace.contracts.announcement import UnjudgedAnnouncement
from headrace.contracts.rules import UnjudgedResult, UnjudgedWorkloads
from headrace.contracts.topics import (
    ARCHIVE_SYNCED,
    DVO_RESULTS,
    OCP_RESULTS,
    PAYLOAD_STATUS,
    RECOMMENDATION_REQUESTS,
    ROS_EVENTS,
    SOURCES_EVENTS,
    SOURCES_RESOURCES,
    UPLOAD_ANNOUNCE,
    UPLOAD_VALIDATION,
    WORKLOAD_INFO,
)
from headrace.contracts.uploads import ARCHIVED
from headrace.ros import DATABASE as ROS_DATABASE
from headrace.runtime.set_by import Setting
from headrace.service.row import Service

SERVICES: Final = (
    Service(
        name="ingress",
        summary="accepts, stores and announces uploads",
        port=3000,
        port_variable="INGRESS_WEBPORT",
        health_path="/api/ingress/v1/version",
        openapi_path="/api/ingress/v1/openapi.json",
        known_by=(
            ("INGRESS_URL", "/api/ingress/v1/upload"),
            ("DATA_UPLOAD_ENDPOINT", "/api/ingress/v1/upload"),
            ("CONSOLE_INGRESS_URL", ""),
        ),
        produces=(UPLOAD_ANNOUNCE, SOURCES_EVENTS, PAYLOAD_STATUS),
        buckets=("insights-upload-perma",),
        set_by={
            UPLOAD_ANNOUNCE.name: Setting("INGRESS_KAFKAANNOUNCETOPIC"),
            SOURCES_EVENTS.name: Setting("INGRESS_KAFKASOURCESTOPIC", off="none"),
            PAYLOAD_STATUS.name: Setting("INGRESS_KAFKATRACKERTOPIC"),
            "insights-upload-perma": Setting("INGRESS_STAGEBUCKET"),
        },
    ),
    Service(
        name="payload_tracker",
        summary="stores every status and serves the statuses of payloads",
        port=8003,
        port_variable="PAYLOAD_TRACKER_PORT",
        health_path="/health",
        openapi_path="/api/v1/openapi.json",
        known_by=(("INGRESS_PAYLOADTRACKERURL", "/api/v1/payloads/"), ("CONSOLE_PAYLOAD_TRACKER_URL", "")),
        consumes=(Consumption(PAYLOAD_STATUS, group="payload_tracker", concurrency=32),),
        database="payload_tracker",
    ),
    Service(
        name="archiver",
        summary="copies archives into the cluster-id/date layout",
        port=8004,
        port_variable="ARCHIVER_PORT",
        health_path="/",
        openapi_path="/api/archives/v1/openapi.json",
        known_by=(("CONSOLE_ARCHIVER_URL", ""),),
        consumes=(
            Consumption(
                UPLOAD_ANNOUNCE,
                group="archiver",
                header="service",
                values=frozenset(ARCHIVED),
                set_by={
                    "values": Setting("ARCHIVER_SERVICES", by="archived_services", also=("BUCKET_MAP_FILE",))
                },
            ),
        ),
        produces=(ARCHIVE_SYNCED, PAYLOAD_STATUS),
        buckets=("insights-archives",),
        set_by={"insights-archives": Setting("ARCHIVER_BUCKET")},
        database="archiver",
        owns_clusters=True,
    ),
    Service(
        name="sources_api",
        summary="registers sources, which map clusters to organisations",
        port=8002,
        port_variable="SOURCES_API_PORT",
        health_path="/health",
        openapi_path="/api/sources/v3.1/openapi.json",
        known_by=(("SOURCES_API_BASE_URL", ""),),
        produces=(SOURCES_RESOURCES,),
        database="sources_api",
    ),
    Service(
        name="koku",
        summary="reads cost archives and stores and announces their usage files",
        consumes=(
            Consumption(
                UPLOAD_ANNOUNCE,
                group="hccm-group",
                header="service",
                values=frozenset({"hccm"}),
                concurrency=4,
                deadline_seconds=300.0,
            ),
        ),
        produces=(ROS_EVENTS, UPLOAD_VALIDATION, PAYLOAD_STATUS),
        buckets=("ros-data", "koku-bucket"),
        set_by={
            "ros-data": Setting("REQUESTED_ROS_BUCKET"),
            "koku-bucket": Setting("REQUESTED_BUCKET", off="none"),
        },
    ),
    Service(
        name="ros_processor",
        summary="turns usage CSVs into workloads, metrics and Kruize experiments",
        consumes=(
            Consumption(
                ROS_EVENTS,
                group="ros-ocp",
                concurrency=4,
                deadline_seconds=900.0,
                set_by={"topic": Setting("UPLOAD_TOPIC"), "group": Setting("KAFKA_CONSUMER_GROUP_ID")},
            ),
            Consumption(
                SOURCES_RESOURCES,
                group="ros-ocp-housekeeper",
                header="event_type",
                values=frozenset({"Application.destroy"}),
                concurrency=1,
                deadline_seconds=900.0,
                set_by={
                    "topic": Setting("SOURCES_EVENT_TOPIC"),
                    "group": Setting("KAFKA_CONSUMER_GROUP_ID", form="{}-housekeeper"),
                },
            ),
        ),
        produces=(RECOMMENDATION_REQUESTS, PAYLOAD_STATUS),
        buckets=("ros-data",),
        set_by={
            RECOMMENDATION_REQUESTS.name: Setting("RECOMMENDATION_TOPIC"),
            "ros-data": Setting("REQUESTED_ROS_BUCKET"),
        },
        database=ROS_DATABASE,
        schema="headrace.ros",
        owns_clusters=True,
    ),
    Service(
        name="kruize",
        summary="stores usage by experiment and computes recommendations",
        port=8080,
        port_variable="AUTOTUNE_SERVER_PORT",
        health_path="/health",
        known_by=(("KRUIZE_URL", ""),),
        database="kruize",
    ),
    Service(
        name="ros_poller",
        access="writes",
        summary="fetches recommendations and stores them",
        consumes=(
            Consumption(
                RECOMMENDATION_REQUESTS,
                group="ros-ocp-poller",
                concurrency=8,
                set_by={
                    "topic": Setting("RECOMMENDATION_TOPIC"),
                    "group": Setting("KAFKA_CONSUMER_GROUP_ID", form="{}-poller"),
                },
            ),
        ),
        produces=(PAYLOAD_STATUS,),
        database=ROS_DATABASE,
        schema="headrace.ros",
    ),
    Service(
        name="ros_api",
        access="reads",
        summary="serves workloads and recommendations",
        port=8001,
        port_variable="API_PORT",
        health_path="/status",
        openapi_path="/api/cost-management/v1/recommendations/openshift/openapi.json",
        known_by=(("CONSOLE_ROS_API_URL", ""),),
        database=ROS_DATABASE,
        schema="headrace.ros",
    ),
    Service(
        name="rules_engine",
        summary="runs Insights rules on archives",
        consumes=(
            Consumption(
                UPLOAD_ANNOUNCE,
                group="rules_engine",
                header="service",
                values=frozenset({"openshift"}),
                # With one worker; each further one adds as many.
                concurrency=5,
                deadline_seconds=270.0,
                reads=UnjudgedAnnouncement,
                set_by={
                    "concurrency": Setting("RULES_ENGINE_WORKERS", by="concurrency"),
                    "deadline_seconds": Setting(
                        "RULES_ENGINE_DEADLINE_SECONDS",
                        by="attempt_seconds",
                        also=("RULES_ENGINE_FETCH_SECONDS",),
                    ),
                },
            ),
        ),
        produces=(OCP_RESULTS, DVO_RESULTS, WORKLOAD_INFO, PAYLOAD_STATUS),
        set_by={
            OCP_RESULTS.name: Setting("RULES_ENGINE_RESULTS_TOPIC"),
            DVO_RESULTS.name: Setting("RULES_ENGINE_WORKLOADS_TOPIC", off="none"),
            WORKLOAD_INFO.name: Setting("RULES_ENGINE_WORKLOAD_INFO_TOPIC", off=""),
        },
    ),
    Service(
        name="results_aggregator",
        summary="stores the newest report of each cluster and serves it over REST",
        port=8006,
        port_variable="RESULTS_AGGREGATOR_PORT",
        health_path="/api/v1/openapi.json",
        openapi_path="/api/v1/openapi.json",
        known_by=(("CONSOLE_RESULTS_AGGREGATOR_URL", ""),),
        consumes=(
            Consumption(OCP_RESULTS, group="aggregator", reads=UnjudgedResult),
            Consumption(
                DVO_RESULTS,
                group="aggregator_dvo",
                reads=UnjudgedWorkloads,
                set_by={"topic": Setting("RESULTS_AGGREGATOR_DVO_TOPIC", off="none")},
            ),
        ),
        produces=(PAYLOAD_STATUS,),
        database="aggregator",
        owns_clusters=True,
    ),
    Service(
        name="ols",
        summary="answers questions and stores feedback, transcripts and configuration for the collector",
        port=8007,
        port_variable="OLS_PORT",
        health_path="/readiness",
    ),
    Service(name="ols_collector", summary="uploads the data of Lightspeed's users to an ingress"),
    Service(
        name="assisted_events",
        summary="uploads the events of ended cluster installations",
        port=8090,
        port_variable="ASSISTED_EVENTS_PORT",
        known_by=(("CONSOLE_ASSISTED_EVENTS_URL", ""),),
        health_path="/health",
        openapi_path="/api/assisted-events/v1/openapi.json",
        database="assisted",
    ),
    Service(
        name="segment_bridge",
        summary="sends users' actions from the clusters' audit logs to Segment",
        database="segment_bridge",
        simulated=True,
        scripts=True,
    ),
    Service(
        name="console",
        summary="shows people the flow, payloads with their reasons, topics and dead letters",
        port=8010,
        port_variable="CONSOLE_PORT",
        health_path="/console/openapi.json",
        openapi_path="/console/openapi.json",
        reads=(PAYLOAD_STATUS,),
        buckets=("insights-upload-perma",),
        set_by={"insights-upload-perma": Setting("INGRESS_STAGEBUCKET")},
    ),
)

BY_NAME: Final = {service.name: service for service in SERVICES}
