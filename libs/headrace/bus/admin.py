"""Creates missing topics, and checks whether the broker answers."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from headrace.bus.connection import client_arguments
from headrace.contracts.topics import Topic
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.settings import EngineSettings

_DAY_MS: Final = 24 * 60 * 60 * 1000
# A dead letter is the original plus its story, so that it needs more room, and a person needs time to look at
# it.
_DEAD_LETTER_CONFIG: Final = {"max.message.bytes": str(2 * 1024 * 1024), "retention.ms": str(30 * _DAY_MS)}


@asynccontextmanager
async def admin_client(settings: EngineSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Yield a connected admin client; raises `Retryable` if no broker answers."""
    client = AIOKafkaAdminClient(**client_arguments(settings, client_id="headrace-admin"))
    try:
        try:
            await client.start()
        except KafkaError as error:
            raise Retryable(f"cannot reach Kafka at {settings.kafka}: {error}") from error
        yield client
    finally:
        await client.close()


async def ensure_topics(
    settings: EngineSettings,
    topics: Iterable[Topic[Any]],
    *,
    with_dead_letters: bool = True,
    timeout_seconds: float = 30.0,
) -> list[str]:
    """Create the missing topics and their dead-letter topics, and return the names of the new ones.

    Several processes may do this at the same time. Existing topics are left unchanged.
    """
    topics = list(topics)
    wanted = {
        topic.name: NewTopic(
            topic.name, settings.kafka_partitions or topic.partitions, settings.kafka_replication
        )
        for topic in topics
    }
    if with_dead_letters:
        wanted |= {
            topic.dead_letters: NewTopic(
                topic.dead_letters, 1, settings.kafka_replication, topic_configs=_DEAD_LETTER_CONFIG
            )
            for topic in topics
        }
    try:
        async with asyncio.timeout(timeout_seconds), admin_client(settings) as client:
            missing = sorted(wanted.keys() - set(await client.list_topics()))
            if not missing:
                return []
            response: Any = await client.create_topics([wanted[name] for name in missing])
    except (TimeoutError, KafkaError) as error:
        raise Retryable(f"cannot create topics: {error or 'no answer within the time limit'}") from error
    return [name for name, *rest in response.topic_errors if was_created(name, *rest)]


def was_created(name: str, code: int, message: str | None = None) -> bool:
    """What the broker answered for a topic: False if it existed. Raises Retryable or ConfigurationError."""
    error = for_code(code)
    if code == 0:
        return True
    if error is TopicAlreadyExistsError:
        return False
    # A broker that has just started, or was starved, is fenced for seconds; Kafka has no code of its own for that.
    if error.retriable or "fenced" in (message or ""):
        raise Retryable(f"topic {name}: {message or error.__name__}")
    raise ConfigurationError(f"topic {name}: {message or error.__name__}")


async def reachable(settings: EngineSettings, timeout_seconds: float = 5.0) -> bool:
    """Return whether a broker answers within the time."""
    try:
        async with asyncio.timeout(timeout_seconds), admin_client(settings):
            return True
    except (TimeoutError, Retryable, KafkaError, OSError):
        return False
