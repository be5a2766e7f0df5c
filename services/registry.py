"""Every service, in the order of the flow. The one table that says what each consumes, produces and owns."""

from typing import Final

from headrace.bus.consumption import Consumption
from headrace.contracts.topics import ARCHIVE_SYNCED, PAYLOAD_STATUS, SOURCES_EVENTS, UPLOAD_ANNOUNCE
from headrace.service.row import Service

SERVICES: Final = (
    Service(
        name="ingress",
        summary="takes uploads, stores them, announces them",
        port=3000,
        port_variable="INGRESS_WEBPORT",
        health_path="/api/ingress/v1/version",
        produces=(UPLOAD_ANNOUNCE, SOURCES_EVENTS, PAYLOAD_STATUS),
        buckets=("insights-upload-perma",),
    ),
    Service(
        name="payload_tracker",
        summary="keeps every status and answers: where is my payload?",
        port=8003,
        port_variable="PAYLOAD_TRACKER_PORT",
        health_path="/health",
        known_by=(("INGRESS_PAYLOADTRACKERURL", "/api/v1/payloads/"),),
        consumes=(Consumption(PAYLOAD_STATUS, group="payload_tracker", concurrency=32),),
        database="payload_tracker",
    ),
    Service(
        name="archiver",
        summary="copies archives into the cluster-id/date layout",
        port=8004,
        port_variable="ARCHIVER_PORT",
        health_path="/",
        consumes=(
            Consumption(
                UPLOAD_ANNOUNCE,
                group="archiver",
                header="service",
                values=frozenset(
                    {"openshift", "ols", "hccm", "assisted-installer", "ocm-assisted-chat", "rhos-lightspeed"}
                ),
            ),
        ),
        produces=(ARCHIVE_SYNCED, PAYLOAD_STATUS),
        buckets=("insights-archives",),
        database="archiver",
    ),
)

BY_NAME: Final = {service.name: service for service in SERVICES}
