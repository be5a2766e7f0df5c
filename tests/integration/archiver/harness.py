"""A running archiver behind an ingress of the tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from headrace.bus.admin import ensure_topics
from headrace.contracts.topics import ARCHIVE_SYNCED, PAYLOAD_STATUS, UPLOAD_ANNOUNCE
from headrace.runtime.settings import EngineSettings
from headrace.service.host import Host
from tests.engines import SessionEngines
from tests.integration.ingress.harness import Ingress
from tests.service import own, own_database, running


@asynccontextmanager
async def running_archiver(
    engines: SessionEngines, ingress: Ingress, *, bucket: str, **environment: str
) -> AsyncIterator[Host]:
    """Copies what this ingress announces into `bucket`; `environment` are its variables, without `ARCHIVER_`."""
    settings = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=engines.postgres)
    await ensure_topics(settings, [PAYLOAD_STATUS, ARCHIVE_SYNCED])
    topic = replace(UPLOAD_ANNOUNCE, name=ingress.announce_topic)
    variables = {f"ARCHIVER_{name}": text for name, text in ({"BUCKET": bucket} | environment).items()}
    async with own_database(engines.postgres) as database:
        row = own("archiver", database=database, topics=[topic])
        async with running(
            [row], settings, environment=variables | {"INGRESS_STAGEBUCKET": ingress.bucket}
        ) as host:
            yield host
