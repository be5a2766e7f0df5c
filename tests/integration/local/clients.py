"""Plain clients, so that the servers are tested without our own code around them."""

import contextlib
from urllib.parse import urlsplit

import asyncpg
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.records import reader


@contextlib.asynccontextmanager
async def s3_client(url):
    parts = urlsplit(url)
    async with get_session().create_client(
        "s3",
        endpoint_url=f"http://{parts.hostname}:{parts.port}",
        aws_access_key_id=parts.username,
        aws_secret_access_key=parts.password,
        region_name="us-east-1",
        config=AioConfig(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    ) as client:
        yield client


async def send_record(kafka, topic, value):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def first_record(kafka, topic):
    consumer = reader(kafka)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        found = await consumer.getmany(partition, timeout_ms=10_000)
        return found[partition][0].value
    finally:
        await consumer.stop()


async def keep_object(url):
    async with s3_client(url) as s3:
        await s3.create_bucket(Bucket="kept")
        await s3.put_object(Bucket="kept", Key="k", Body=b"object")


async def kept_object(url):
    async with s3_client(url) as s3:
        answer = await s3.get_object(Bucket="kept", Key="k")
        return await answer["Body"].read()


async def keep_something(environment):
    """A record, an object and a row."""
    await send_record(environment["HEADRACE_KAFKA"], "kept", b"record")
    await keep_object(environment["HEADRACE_S3"])
    connection = await asyncpg.connect(environment["HEADRACE_POSTGRES"], timeout=10)
    await connection.execute("CREATE TABLE kept AS SELECT 'row' AS value")
    await connection.close()


async def is_kept(environment):
    """Whether all of it is still there."""
    assert await first_record(environment["HEADRACE_KAFKA"], "kept") == b"record"
    assert await kept_object(environment["HEADRACE_S3"]) == b"object"
    connection = await asyncpg.connect(environment["HEADRACE_POSTGRES"], timeout=10)
    assert await connection.fetchval("SELECT value FROM kept") == "row"
    await connection.close()
    return True
