"""Load: uploads to an ingress and direct PUTs to the store behind it, with so many in flight."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import aiohttp

from headrace.contracts.identity import Identity, Internal, System, encode_identity
from headrace.objects import control
from headrace.objects.endpoint import S3Endpoint

CLUSTERS = 200
# As long as curl makes them.
_BOUNDARY = "------------------------d74496d66958873e7f0c42"


@dataclass(frozen=True)
class Load:
    """What a load run gave: how many in how long, and each one's latency in seconds."""

    seconds: float
    latencies: Sequence[float]

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def closed_loop(work: Callable[[int], Awaitable[None]], count: int, in_flight: int) -> Load:
    """`count` calls, `in_flight` at a time."""
    numbers = iter(range(count))
    latencies: list[float] = []

    async def worker() -> None:
        for number in numbers:
            before = time.perf_counter()
            await work(number)
            latencies.append(time.perf_counter() - before)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return Load(time.perf_counter() - began, latencies)


def multipart_body(payload: bytes, content_type: str = "application/vnd.redhat.ols.periodic+tar") -> bytes:
    """A form as curl writes it, made once so that the sender costs little."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.tgz"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return head.encode() + payload + f"\r\n--{_BOUNDARY}--\r\n".encode()


@lru_cache(maxsize=CLUSTERS)
def identity_of(cluster: int) -> str:
    """The header of one of the sending clusters."""
    system = System(cluster_id=str(uuid.UUID(int=cluster)))
    return encode_identity(
        Identity(account_number="1", org_id="1", type="System", internal=Internal(org_id="1"), system=system)
    )


def upload_headers(number: int, request_id: str | None = None) -> dict[str, str]:
    """What a gateway sends for upload ``number``: the clusters send in turn."""
    return {
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "x-rh-identity": identity_of(number % CLUSTERS),
        "x-rh-insights-request-id": request_id or uuid.uuid4().hex,
    }


async def uploads(ingress_url: str, payload: bytes, count: int, in_flight: int = 16) -> Load:
    """Upload `payload` `count` times, every time under a new request id."""
    body = multipart_body(payload)
    async with aiohttp.ClientSession() as session:

        async def upload(number: int) -> None:
            url = f"{ingress_url}/api/ingress/v1/upload"
            async with session.post(url, data=body, headers=upload_headers(number)) as response:
                if response.status != 202:
                    raise RuntimeError(f"{response.status}: {await response.text()}")
                await response.read()

        return await closed_loop(upload, count, in_flight)


async def direct_puts(
    endpoint: S3Endpoint, bucket: str, payload: bytes, count: int, in_flight: int = 16
) -> Load:
    """PUT the same bytes with the tuned client straight into the store."""
    run = uuid.uuid4().hex[:8]
    names = itertools.count()
    async with control.client(endpoint) as client:

        async def put(_number: int) -> None:
            await client.put_object(
                Bucket=bucket, Key=f"{run}-{next(names)}", Body=payload, ContentType="application/gzip"
            )

        return await closed_loop(put, count, in_flight)
