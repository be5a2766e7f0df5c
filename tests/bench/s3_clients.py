"""Our S3 client beside obstore: the same objects into the same server, in turns, each confirmed to be what was sent.

obstore is no dependency: ``.venv/bin/pip install obstore`` adds its figures.
"""

import importlib
import importlib.util
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore, digest
from tests.bench.load import closed_loop
from tests.bench.report import Figure, of_rounds

# Bytes and calls a round.
SIZES = [("1 KB", 1_000, 1000), ("100 KB", 100_000, 600), ("1 MB", 1_000_000, 150), ("10 MB", 10_000_000, 32)]
ROUNDS = 5
IN_FLIGHT = 16
_CONTENT_TYPE = "application/gzip"
_METADATA = {"requestid": "bench", "account": "1", "org": "1"}

Put = Callable[[bytes], Awaitable[None]]


async def measure(endpoint: S3Endpoint, bucket: str) -> list[Figure]:
    """PUTs a second, and the CPU time that one costs this process with all its threads."""
    store = await ObjectStore.open(endpoint)

    async def ours(payload: bytes) -> None:
        await store.put(
            bucket, uuid.uuid4().hex, payload, content_type=_CONTENT_TYPE, metadata=_METADATA, if_absent=True
        )

    clients: dict[str, Put] = {"our client": ours}
    if importlib.util.find_spec("obstore"):
        clients["obstore"] = _obstore(endpoint, bucket)
    try:
        return [
            figure for name, size, count in SIZES for figure in await _compare(clients, name, size, count)
        ]
    finally:
        await store.close()


async def _compare(clients: dict[str, Put], name: str, size: int, count: int) -> list[Figure]:
    payload = os.urandom(size)
    rates: dict[str, list[float]] = {client: [] for client in clients}
    cpu: dict[str, list[float]] = {client: [] for client in clients}
    for number in range(ROUNDS + 1):
        for client, put in clients.items():
            before = time.process_time()
            load = await closed_loop(lambda _number, put=put: put(payload), count, IN_FLIGHT)  # type: ignore[misc]
            # Connections open in the first round.
            if number:
                rates[client].append(load.per_second)
                cpu[client].append((time.process_time() - before) / count * 1000)
    figures = []
    for client in clients:
        figures.append(of_rounds(f"{name}: PUTs by {client}", rates[client], "/s"))
        figures.append(of_rounds(f"{name}: CPU a PUT by {client}", cpu[client], "ms", digits=2))
    return figures


def _obstore(endpoint: S3Endpoint, bucket: str) -> Put:
    """The cheapest PUT of obstore that promises as much as ours.

    It shows no header of an answer, so that a checksum's echo cannot be read: its ETag has to be the MD5.
    """
    store = importlib.import_module("obstore.store").S3Store(
        bucket,
        endpoint=endpoint.url,
        region=endpoint.region,
        access_key_id=endpoint.access_key,
        secret_access_key=endpoint.secret_key,
        virtual_hosted_style_request=False,
        unsigned_payload=True,
        checksum_algorithm="CRC64NVME",
        client_options={"allow_http": True, "timeout": timedelta(seconds=60)},
        retry_config={"max_retries": 0},
    )
    attributes = {"Content-Type": _CONTENT_TYPE, **_METADATA}

    async def put(payload: bytes) -> None:
        stored = await store.put_async(
            uuid.uuid4().hex, payload, attributes=attributes, mode="create", use_multipart=False
        )
        if stored["e_tag"].strip('"') != digest(payload):
            raise RuntimeError("S3 stored other bytes than were sent")

    return put
