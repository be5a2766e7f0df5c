"""A proxy that speaks Kafka: it answers for the broker, alters its answers, and leads its clients back to itself.

Behind a broker that others share it needs no listener of its own: what the broker says of its address is rewritten.
"""

import asyncio
import struct
from collections import Counter, defaultdict, deque
from contextlib import suppress
from io import BytesIO
from typing import Any

from aiokafka.protocol.api import RequestHeader_v1, RequestStruct, Response
from aiokafka.protocol.commit import OffsetCommitRequest_v2
from aiokafka.protocol.types import Array, Schema

from tests.proxy import HOST, TcpProxy, Toxics

PRODUCE, FETCH, METADATA, COMMIT, COORDINATOR, HEARTBEAT = 0, 1, 3, 8, 10, 12
# The code by which each error is known on the wire.
NOT_LEADER, LOADING, NOT_AVAILABLE, NOT_COORDINATOR = 6, 14, 15, 16
ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING = 22, 25, 27


def _by_version(base: Any) -> dict[tuple[int, int], Any]:
    return {(kind.API_KEY, kind.API_VERSION): kind for kind in base.__subclasses__()}


REQUESTS, RESPONSES = _by_version(RequestStruct), _by_version(Response)


class KafkaProxy(TcpProxy):
    """Errors wait by API: each is given once, to the next request of that kind.

    A commit that is refused never reaches the broker; any other request does, and its answer is altered.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.errors: defaultdict[int, deque[int]] = defaultdict(deque)
        self.injected: Counter[tuple[int, int]] = Counter()
        # Said in every answer to a produce or fetch, as a broker with quotas does.
        self.throttle_ms = 0
        # An API's requests, from now on, to which the broker's answers never come.
        self.silent: set[int] = set()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        toxics: Toxics,
        client: asyncio.StreamWriter,
    ) -> None:
        # One table a connection, shared by its two directions.
        asked: dict[int, tuple[int, int]] = client.__dict__.setdefault("asked", {})
        change = self._request if toxics is self.up else self._answer
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                frame = change(await reader.readexactly(size), asked, client)
                if frame is None:
                    continue
                for piece in toxics.pieces(struct.pack(">i", len(frame)) + frame):
                    await toxics.delay(len(piece))
                    writer.write(piece)
                    await writer.drain()
                    self._count(toxics, len(piece))

    def _request(
        self, frame: bytes, asked: dict[int, tuple[int, int]], client: asyncio.StreamWriter
    ) -> bytes | None:
        api, version, correlation = struct.unpack(">hhi", frame[:8])
        if api == COMMIT and self.errors[COMMIT]:
            client.write(self._refused_commit(frame, version, correlation))
            return None
        asked[correlation] = api, version
        return frame

    def _refused_commit(self, frame: bytes, version: int, correlation: int) -> bytes:
        code = self._next_error(COMMIT)
        buffer = BytesIO(frame)
        RequestHeader_v1.SCHEMA.decode(buffer)
        request = REQUESTS.get((COMMIT, version), OffsetCommitRequest_v2).decode(buffer)
        topics = [(name, [(part[0], code) for part in parts]) for name, parts in request.topics]
        body = RESPONSES[COMMIT, version](*([0] if version >= 3 else []), topics).encode()
        return struct.pack(">ii", len(body) + 4, correlation) + body

    def _next_error(self, api: int) -> int:
        code = self.errors[api].popleft()
        self.injected[api, code] += 1
        return code

    def _answer(
        self, frame: bytes, asked: dict[int, tuple[int, int]], _client: asyncio.StreamWriter
    ) -> bytes | None:
        (correlation,) = struct.unpack(">i", frame[:4])
        api, version = asked.pop(correlation, (-1, 0))
        if api in self.silent:
            return None
        values: dict[str, Any] = {}
        if api in {METADATA, COORDINATOR}:
            values |= {"host": HOST, "port": self.port}
        if self.errors[api]:
            code = self._next_error(api)
            values |= {"error_code": code} | ({"partition_error_code": code} if api == METADATA else {})
        if self.throttle_ms and api in {PRODUCE, FETCH}:
            values["throttle_time_ms"] = self.throttle_ms
        kind = RESPONSES.get((api, version))
        if not values or kind is None:
            return frame
        answer = kind.decode(BytesIO(frame[4:]))
        fields = [getattr(answer, name) for name in kind.SCHEMA.names]
        return frame[:4] + bytes(kind(*_replaced(kind.SCHEMA, fields, values)).encode())


def _replaced(schema: Schema, fields: Any, values: dict[str, Any]) -> list[Any]:
    """The fields with every one that is named in `values`, at any depth, replaced."""
    found = []
    for name, kind, value in zip(schema.names, schema.fields, fields, strict=True):
        if name in values:
            found.append(values[name])
        elif isinstance(kind, Array) and isinstance(kind.array_of, Schema) and value is not None:
            found.append([tuple(_replaced(kind.array_of, item, values)) for item in value])
        else:
            found.append(value)
    return found
