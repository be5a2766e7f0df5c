"""Record batches written byte by byte, for what no client would send; and sending them."""

import asyncio
import struct
from collections.abc import Sequence
from typing import Any

import cramjam
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import NotLeaderForPartitionError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

NOW_MS = 1_790_000_000_000
ENCODE: dict[str, Any] = {
    "none": bytes,
    "gzip": gzip_encode,
    "snappy": snappy_encode,
    "lz4": lz4_encode,
    "zstd": zstd_encode,
}
CODECS = {name: number for number, name in enumerate(ENCODE)}


def varint(number: int) -> bytes:
    """Zigzag, seven bits a byte."""
    left, out = (number << 1) ^ (number >> 63), bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def field(content: bytes | None) -> bytes:
    return varint(-1) if content is None else varint(len(content)) + content


def record(
    value: bytes | None,
    *,
    key: bytes | None = None,
    headers: Sequence[tuple[bytes, bytes | None]] = (),
    number: int = 0,
    later_ms: int = 0,
) -> bytes:
    """One record with its length; names of headers are bytes, as Kafka takes them."""
    body = b"\0" + varint(later_ms) + varint(number) + field(key) + field(value) + varint(len(headers))
    body += b"".join(field(name) + field(content) for name, content in headers)
    return varint(len(body)) + body


def batch(
    *records: bytes,
    codec: str = "none",
    timestamp_ms: int = NOW_MS,
    last_ms: int | None = None,
    compressed: bytes | None = None,
    base: int = 0,
    attributes: int = 0,
    count: int | None = None,
    magic: int = 2,
    checksum: int | None = None,
) -> bytes:
    """A batch; what is given instead of being computed may be a lie."""
    body = ENCODE[codec](b"".join(records)) if compressed is None else compressed
    number = len(records) if count is None else count
    last_ms = timestamp_ms if last_ms is None else last_ms
    told = struct.pack(
        ">hiqqqhii", attributes | CODECS[codec], number - 1, timestamp_ms, last_ms, -1, -1, -1, number
    )
    summed = calc_crc32c(told + body) if checksum is None else checksum
    rest = struct.pack(">ibI", 0, magic, summed) + told + body
    return struct.pack(">qi", base, len(rest)) + rest


def bomb(size_bytes: int) -> bytes:
    """Of zstd, the body of a batch of one record: kilobytes that inflate to so much."""
    return bytes(cramjam.zstd.compress(record(b"\0" * size_bytes), level=9))  # type: ignore[attr-defined]


async def produce(kafka: str, topic: str, *batches: bytes, partition: int = 0) -> list[str]:
    """Send each by itself; what the broker says to it, "NoError" when it took it."""
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await client.bootstrap()
    try:
        await client.add_topic(topic)
        return [await _sent(client, TopicPartition(topic, partition), one) for one in batches]
    finally:
        await client.close()


async def _sent(client: AIOKafkaClient, at: TopicPartition, one: bytes) -> str:
    terms: dict[str, Any] = {"transactional_id": None, "required_acks": -1, "timeout": 5000}
    async with asyncio.timeout(30):
        while True:
            # A topic made just now is not known to every part of the broker.
            await client.force_metadata_update()
            node = client.cluster.leader_for_partition(at)
            if node is None or node < 0:
                continue
            request = ProduceRequest(topics=[(at.topic, [(at.partition, one)])], **terms)
            answer = await client.send(node, request)
            said = for_code(answer.topics[0][1][0][1])
            if said not in (NotLeaderForPartitionError, UnknownTopicOrPartitionError):
                return said.__name__
            await asyncio.sleep(0.05)
