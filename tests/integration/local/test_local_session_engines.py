import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.integration.local.clients import s3_client
from tests.waiting import eventually


async def test_session_kafka_makes_a_topic(engines, fresh):
    admin = AIOKafkaAdminClient(bootstrap_servers=engines.kafka)
    await admin.start()
    topic = fresh("topic")
    try:
        await admin.create_topics([NewTopic(topic, 3, 1)])

        async def listed():
            return topic in await admin.list_topics()

        # The controller has it before the broker tells of it.
        await eventually(listed, within_seconds=30)
    finally:
        await admin.close()


async def test_database_is_empty_and_writable(database):
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("CREATE TABLE t (n int)")
        assert await connection.fetchval("SELECT count(*) FROM t") == 0
    finally:
        await connection.close()


async def test_every_s3_server_keeps_an_object(s3_endpoint, fresh):
    bucket = fresh("bucket")
    async with s3_client(s3_endpoint.url) as s3:
        await s3.create_bucket(Bucket=bucket)
        await s3.put_object(Bucket=bucket, Key="k", Body=b"body")
        answer = await s3.get_object(Bucket=bucket, Key="k")
        assert await answer["Body"].read() == b"body"


async def test_session_s3_server_answers(engines, fresh):
    async with s3_client(engines.s3) as s3:
        await s3.create_bucket(Bucket=fresh("bucket"))
