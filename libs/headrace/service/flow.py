"""Which services handle an upload, from the services' table."""

from collections.abc import Sequence

from headrace.bus.consumption import Consumption
from headrace.contracts.topics import PAYLOAD_STATUS, UPLOAD_ANNOUNCE
from headrace.service.row import Service


def consumers_of(services: Sequence[Service], upload_service: str) -> dict[str, frozenset[str]]:
    """Return the services that handle an upload for a service, by their names in the tracker, including ingress.

    These are the consumers of its announcement, the consumers of what those produce, and so on; each with the
    services without which it would receive nothing.
    """
    reached: dict[str, frozenset[str]] = {"ingress": frozenset()}
    topics = [(UPLOAD_ANNOUNCE.name, frozenset({"ingress"}))]
    while topics:
        topic, before = topics.pop()
        for row in services:
            name = row.name.replace("_", "-")
            if name not in reached and any(_takes(item, topic, upload_service) for item in row.consumes):
                reached[name] = before
                topics += [
                    (item.name, before | {name}) for item in row.produces if item is not PAYLOAD_STATUS
                ]
    return reached


def _takes(consumption: Consumption, topic: str, upload_service: str) -> bool:
    """Headers other than the announcement's belong to other kinds of messages."""
    if consumption.topic.name != topic:
        return False
    return not consumption.header or (
        consumption.header == "service" and upload_service in consumption.values
    )
