"""Creates the topics and buckets that services need. Databases are migrated when their services start."""

from collections.abc import Iterable

from headrace.bus.admin import ensure_topics
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings
from headrace.service.resolution import resolved
from headrace.service.row import Service


async def initialise(engines: EngineSettings, rows: Iterable[Service]) -> None:
    """Create what is missing; safe to repeat and to run concurrently."""
    services = [resolved(row) for row in rows]
    topics = {topic.name: topic for row in services for topic in row.topics}
    if topics:
        await ensure_topics(engines, topics.values())
    buckets = {bucket for row in services for bucket in row.buckets}
    if buckets:
        store = await ObjectStore.open(S3Endpoint.of(engines))
        try:
            for bucket in sorted(buckets):
                await store.ensure_bucket(bucket)
        finally:
            await store.close()
