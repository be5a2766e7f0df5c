"""What is made before a start asks only for the engines that the services have."""

import asyncio

from headrace.runtime.settings import EngineSettings
from headrace.service.initialise import initialise
from headrace_services.registry import BY_NAME


async def test_a_service_without_topics_and_buckets_needs_neither_kafka_nor_s3():
    nobody = EngineSettings(kafka="127.0.0.1:1", s3="http://127.0.0.1:1")
    async with asyncio.timeout(5):
        await initialise(nobody, [BY_NAME["kruize"], BY_NAME["ros_api"]])
