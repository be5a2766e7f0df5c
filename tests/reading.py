"""Consumers of a test's own, outside any group."""

from typing import Any

from aiokafka import AIOKafkaConsumer


def reader(kafka: str, *topics: str, **terms: Any) -> AIOKafkaConsumer:
    """From the beginning, unless told otherwise.

    A broker answers the requests of a connection one after another: a fetch that waits for news, half a second by
    default, would hold up every question about offsets.
    """
    usual = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 10}
    return AIOKafkaConsumer(*topics, bootstrap_servers=kafka, **(usual | terms))
