"""Every service of the flow as a process of its own, which tests kill, arm with fault points, rewind and replay."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import aiohttp
import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.structs import OffsetAndMetadata

from headrace.bus.admin import admin_client
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.run_file import read_run
from headrace.runtime.faultpoints import VARIABLE
from headrace.runtime.settings import EngineSettings
from headrace_services.registry import BY_NAME
from tests.faults.killing import Stack
from tests.faults.sending import ENDS
from tests.faults.test_history import archived_digests, synced_keys, tracked_statuses
from tests.history import Seen, check
from tests.records import reader
from tests.waiting import answered, eventually

CONSUMERS = (
    "payload_tracker", "archiver", "koku", "ros_processor", "ros_poller", "rules_engine", "results_aggregator",
)  # fmt: skip
NAMES = ("ingress", "sources_api", "kruize", *CONSUMERS)
ENVIRONMENT = {"RULES_ENGINE_WORKERS": "1", "POLARS_MAX_THREADS": "1", "KOKU_REGISTER_SOURCES": "true"}
# Whose first record is the flow's first; the others read what these produce.
FIRST = ("archiver", "koku", "rules_engine")
EMPTIED = {
    "archiver": ("archives", "series"),
    "aggregator": ("report", "rule_hit", "recommendation", "report_info"),
    "postgres": (
        "rh_accounts", "workload_metrics", "historical_recommendation_sets",
        "historical_namespace_recommendation_sets",
    ),
    "kruize": ("kruize_experiments", "kruize_results", "kruize_recommendations"),
}  # fmt: skip


def settings_of(directory):
    """Of the engines of a `headrace up` on that directory."""
    engines = {row["name"]: row["url"] for row in read_run(directory)["engines"]}
    return EngineSettings(kafka=engines["kafka"], s3=engines["s3"], postgres=engines["postgres"])


async def all_ended(settings, load, within_seconds, services=NAMES):
    """Wait until every acknowledged upload has ended in each of the services that its kind goes to; seconds taken."""
    began = asyncio.get_running_loop().time()

    async def ended():
        statuses = await tracked_statuses(settings)
        missing = [
            (upload.request_id, payload.kind, service)
            for upload, payload in load.acknowledged
            for service in ENDS[payload.kind]
            if service.replace("-", "_") in services
            and (service, "success") not in statuses[upload.request_id]
        ]
        assert missing == []
        return True

    await eventually(
        ended, within_seconds=within_seconds, every_seconds=0.3, describe="every accepted id has ended"
    )
    return asyncio.get_running_loop().time() - began


async def verdict_of(settings, load, *, among_others=False):
    """The history's check of what was sent; ``among_others``: what others sent was archived as well."""
    sent = [upload for upload, _ in load.sent]
    known = {upload.request_id for upload in sent}
    archived = await archived_digests(settings)
    return check(
        sent,
        Seen(
            archived={name: found for name, found in archived.items() if name in known or not among_others},
            synced=await synced_keys(settings),
            statuses=await tracked_statuses(settings),
        ),
    )


class Whole(Stack):
    """The engines and all services; `origins` are the offsets at which each consumer's present run begins."""

    def __init__(self, directory, names=NAMES, **environment):
        super().__init__(directory, names, **(ENVIRONMENT | environment))
        self.origins = {}

    def consumptions(self, name):
        return BY_NAME[name].consumes

    def environment_of(self, name, variable):
        return self.services[name].environment[variable]

    def fault_log(self, name):
        """The faults that its fault points put into its log."""
        lines = self.services[name].log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [json.loads(line)["fault"] for line in lines if '"fault point"' in line]

    async def spawn(self, name, faults=""):
        """Start it without waiting, armed."""
        process = self.services[name]
        process.environment = {**process.environment, VARIABLE: faults}
        await process.spawn()

    async def start(self, stack):
        await super().start(stack)
        await stack.enter_async_context(self._asking())

    @asynccontextmanager
    async def _asking(self):
        """Clients that last as long as the flow: asking for a lag is frequent."""
        self._reader = reader(self.settings.kafka, isolation_level="read_committed")
        await self._reader.start()
        try:
            async with admin_client(self.settings) as self._admin:
                yield
        finally:
            await self._reader.stop()

    async def bury(self, name):
        """Tell its groups that its dead process is gone, as the end of the session would after ten seconds."""
        for consumption in self.consumptions(name):
            coordinator = await answered(partial(self._admin.find_coordinator, consumption.group))
            answer: Any = await self._admin.describe_consumer_groups([consumption.group], coordinator)
            for member_id, *_ in answer[0].groups[0][5]:
                await self._admin._client.send(coordinator, LeaveGroupRequest(consumption.group, member_id))

    async def kill_and_bury(self, name):
        process = self.services[name]
        if process.process.returncode is None:
            await process.kill()
        await self.bury(name)

    async def restart(self, name, faults=""):
        """kill -9, then up again and ready."""
        await self.kill_and_bury(name)
        await self.spawn(name, faults)
        await eventually(self.services[name].is_ready, within_seconds=60, describe=f"{name} ready")

    async def ends(self, *topics):
        """End offset by partition."""
        for topic in topics:
            await self._reader._client._wait_on_metadata(topic)
        return await self._reader.end_offsets(
            [TopicPartition(topic, n) for topic in topics for n in self._reader.partitions_for_topic(topic)]
        )

    async def lag(self, name):
        """Records of all its topics that it has not committed."""
        behind = 0
        for consumption in self.consumptions(name):
            committed = await answered(partial(self._admin.list_consumer_group_offsets, consumption.group))
            for partition, end in (await self.ends(consumption.topic.name)).items():
                at = committed[partition].offset if partition in committed else 0
                behind += end - max(at, 0)
        return behind

    async def has_work(self, name):
        """Whether anything came for it since its origins."""
        ends = await self.ends(*(consumption.topic.name for consumption in self.consumptions(name)))
        return any(end > self.origins.get(at, 0) for at, end in ends.items())

    async def drained(self, names=CONSUMERS, within_seconds=120):
        """Wait until nobody has anything left to do, looking twice: what one does is work for the next."""

        async def nothing():
            lags = {name: await self.lag(name) for name in names}
            assert not any(lags.values()), lags
            return True

        for _ in range(2):
            await eventually(nothing, within_seconds=within_seconds, every_seconds=0.3)

    async def rewind(self, name):
        """Its groups, which must be empty, begin again at their origins."""
        for consumption in self.consumptions(name):
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.settings.kafka, group_id=consumption.group, enable_auto_commit=False
            )
            await consumer.start()
            try:
                ends = await self.ends(consumption.topic.name)
                offsets = {at: self.origins.get(at, 0) for at in ends}
                consumer.assign(list(offsets))
                await consumer.commit({at: OffsetAndMetadata(offset, "") for at, offset in offsets.items()})
            finally:
                await consumer.stop()

    async def empty(self):
        """Stop the consumers and take away what they left, so that the announcements can be handled anew."""
        stopped = [name for name in self.services if name in (*CONSUMERS, "kruize")]
        await asyncio.gather(*(self.services[name].stop() for name in stopped))
        for name in (name for name in CONSUMERS if name in self.services):
            await self.bury(name)
            for consumption in self.consumptions(name):
                ends = await self.ends(consumption.topic.name)
                self.origins |= {at: 0 if name in FIRST else end for at, end in ends.items()}
            await self.rewind(name)
        for database, tables in EMPTIED.items():
            await self.execute(database, f"truncate {', '.join(tables)} cascade")
        store = await ObjectStore.open(S3Endpoint.of(self.settings))
        try:
            for bucket in ("insights-archives", "ros-data"):
                for key in [item.key async for item in store.list(bucket)]:
                    await store.delete(bucket, key)
        finally:
            await store.close()
        if "kruize" in self.services:
            await self.services["kruize"].start()

    async def execute(self, database, statement):
        connection = await asyncpg.connect(self.settings.postgres.rpartition("/")[0] + f"/{database}")
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()

    async def all_ended(self, load, within_seconds=120):
        """Wait until every acknowledged upload has every end that its kind has; how many seconds it took."""
        return await all_ended(self.settings, load, within_seconds, self.services)

    async def verdict(self, load, *, among_others=False):
        """The history's check of what was sent."""
        return await verdict_of(self.settings, load, among_others=among_others)

    @asynccontextmanager
    async def kept(self):
        """Whatever service ends is brought back at once, as an orchestrator does."""
        keepers = [asyncio.create_task(self.keep(process)) for process in self.services.values()]
        try:
            yield
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def metrics(self, name):
        """What its `/metrics` says, as text; empty while it does not answer."""
        url = f"http://127.0.0.1:{self.services[name].admin_port}/metrics"
        timeout = aiohttp.ClientTimeout(total=5)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
                return await response.text()
        return ""
