"""Every operation of every service's own document, asked what nobody asks."""

import asyncio
import gzip
import io
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from typing import Any

import pytest
from yarl import URL

from tests.integration.web.conftest import BODY_SECONDS, Everything, resolved

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What an error may weigh; a batch of Kruize's is answered record by record.
ERROR_BYTES = 4096
# Of processor time, client included. On a slow machine most take a hundredth of it.
CPU_SECONDS = 2.0
A_MEGABYTE = 1 << 20

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "nested 300": b"[" * 300 + b"]" * 300,
    "nested 300 within": b'{"query":' + b'{"a":' * 300 + b"1" + b"}" * 301,
    "nested 100,000": b"[" * 100_000,
    "an integer of 5,000 digits": b'{"sentiment":' + b"1" * 5000 + b"}",
    "an integer of a million digits": b"[" + b"1" * A_MEGABYTE + b"]",
    "a number beyond a double": b'{"sentiment":1e999999}',
    "a long fraction": b"[0." + b"1" * A_MEGABYTE + b"]",
    "NaN": b'{"sentiment":NaN}',
    "a megabyte of unknown keys": json.dumps({f"key-{n}": n for n in range(60_000)}).encode(),
    "one key 100,000 times": b"{" + b'"query":1,' * 100_000 + b'"query":1}',
    "a key of a megabyte": b'{"' + b"k" * A_MEGABYTE + b'":1}',
    "a text of a megabyte": json.dumps({"query": "q" * A_MEGABYTE, "name": "n" * A_MEGABYTE}).encode(),
    "empty lists": b"[" + b"[]," * 200_000 + b"[]]",
    "objects": b"[" + b"{}," * 200_000 + b"{}]",
    "numbers": b"[" + b"1," * 400_000 + b"1]",
    "open quotes": b'{"query":"' + b"x" * A_MEGABYTE,
    "escapes": b'{"query":"' + b"\\" * A_MEGABYTE,
    "NULs": b"\0" * A_MEGABYTE,
    "a NUL in a text": b'{"query":"\\u0000","name":"\\u0000"}',
    "half a pair": b'{"query":"\\ud800","name":"\\ud800"}',
    "UTF-16": '{"query":"x"}'.encode("utf-16"),
    "no UTF-8": b'{"query":"\xff\xfe"}',
    "a date in 99999": b'{"interval_end_time":"99999-01-01T00:00:00.000Z"}',
}
# For each property that a body may have.
FIELDS: dict[str, Any] = {
    "nested": json.loads("[" * 40 + "]" * 40),
    "a long text": "x" * 300_000,
    "a large number": 2**64 - 1,
    "a larger number": 1e308,
    "below zero": -(2**63),
    "NUL": "a\0b",
    "list": list(range(3000)),
    "object": {f"k{n}": n for n in range(1500)},
}
TEXTS = {
    "digits": "9" * 5000,
    "beyond a double": "1e999999",
    "NUL": "%00",
    "half a pair": "%ED%A0%80",
    "no UTF-8": "%FF%FE",
    "nested": "[" * 300,
    "2^64": str(2**64),
    "minus": "-1",
    "a date in 99999": "99999-01-01T00:00:00Z",
    "the first year": "0001-01-01T00:00:00%2B14:00",
    "long": "x" * 6000,
    "quote": "'\"",
    "newline": "a%0Ab",
    "other digits": "%D9%A1%D9%A2",
    "full width": "%EF%BC%91",
}


ARCHIVE = gzip.compress(bytes(range(256)) * 1000)


# What gets a request past its path.
KNOWN = {
    "id": "1",
    "org_id": "1001",
    "organization": "1001",
    "organizations": "1001",
    "user_id": "7",
    "rule_id": "a.rule",
    "rule_selector": "a.rule|KEY",
    "error_key": "KEY",
    "namespace": "default",
}


def filled(path: str) -> str:
    return re.sub(
        r"\{([^}]+)\}", lambda found: KNOWN.get(found[1], "00000000-0000-0000-0000-000000000000"), path
    )


def bodies(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    yield from BODIES.items()
    content = resolved(document, operation.get("requestBody", {})).get("content", {})
    schema = resolved(document, content.get("application/json", {}).get("schema", {}))
    listed = schema.get("type") == "array"
    if listed:
        schema = resolved(document, schema.get("items", {}))
    names = list(schema.get("properties", {}))
    for what, value in FIELDS.items():
        for chosen in (names, *([name] for name in names)):
            body = dict.fromkeys(chosen, value)
            yield f"{','.join(chosen)}: {what}", json.dumps([body] if listed else body).encode()


class Judge:
    def __init__(self, everything: Everything) -> None:
        self.everything = everything
        self.faults: list[str] = []
        self.asked: Counter[str] = Counter()

    async def ask(
        self, service: str, method: str, path: str, what: str, body: bytes | None, *, alone: bool = True
    ) -> None:
        url = URL(self.everything.urls[service] + path, encoded=True)
        headers = {"Content-Type": "application/json"}
        before = time.process_time()
        async with self.everything.session.request(
            method,
            url,
            data=None if body is None else io.BytesIO(body),
            headers=headers,
            allow_redirects=False,
        ) as response:
            text = await response.read()
        spent = time.process_time() - before
        self.asked[service] += 1
        place = f"{service} {method} {path[:100]} {what}"
        if response.status >= 500 and response.status not in {501, 503}:
            self.faults.append(f"{place}: {response.status} {text[:100]!r}")
        if response.status >= 400 and len(text) > ERROR_BYTES:
            self.faults.append(f"{place}: {response.status} in {len(text)} bytes")
        if alone and spent > CPU_SECONDS:
            self.faults.append(f"{place}: {spent:.1f} s")


async def test_no_body_breaks_a_service_or_is_echoed_at_length(everything: Everything):
    judge = Judge(everything)
    for service, method, path, operation in everything.operations:
        if method == "GET":
            continue
        for what, body in bodies(everything.documents[service], operation):
            await judge.ask(service, method, filled(path), what, body)
    assert not judge.faults, "\n".join(judge.faults)
    assert judge.asked.keys() >= {
        "ingress",
        "sources_api",
        "kruize",
        "results_aggregator",
        "ols",
        "assisted_events",
    }


async def test_no_parameter_breaks_a_service(everything: Everything):
    judge = Judge(everything)
    at_once = asyncio.Semaphore(16)

    async def ask(service: str, method: str, path: str, what: str) -> None:
        async with at_once:
            await judge.ask(service, method, path, what, None if method == "GET" else b"{}", alone=False)

    async with asyncio.TaskGroup() as group:
        for service, method, path, operation in everything.operations:
            for parameter in operation["parameters"]:
                name = parameter["name"]
                for what, text in TEXTS.items():
                    if parameter["in"] == "query":
                        asked = f"{filled(path)}?{URL.build(query={name: ''}).raw_query_string}{text}"
                    elif parameter["in"] == "path" and "/" not in text:
                        asked = filled(path.replace("{" + name + "}", text))
                    else:
                        continue
                    group.create_task(ask(service, method, asked, what))
    assert not judge.faults, "\n".join(judge.faults)
    with_parameters = {
        service
        for service, _, _, operation in everything.operations
        if any(parameter["in"] in {"query", "path"} for parameter in operation["parameters"])
    }
    assert "ingress" in with_parameters
    assert judge.asked.keys() == with_parameters


async def test_a_trickled_body_ends_in_408_on_every_service(everything: Everything):
    """Ingress has a pace of its own, with tests of its own."""

    async def trickle(service: str, method: str, path: str) -> str | None:
        url = URL(everything.urls[service])
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = (
            f"{method} {filled(path)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"x-rh-identity: {everything.session.headers['x-rh-identity']}\r\nContent-Length: 100000\r\n\r\n"
        )
        began = time.monotonic()
        # Blanks before a JSON text, and the beginning of an archive.
        pieces = iter(ARCHIVE) if path.endswith("/installations") else repeat(ord(" "))
        try:
            writer.write(head.encode())
            answer = asyncio.create_task(reader.readline())
            while not answer.done():
                writer.write(bytes([next(pieces)]))
                await asyncio.wait({answer}, timeout=0.1)
                if time.monotonic() - began > 30 * BODY_SECONDS:
                    answer.cancel()
                    return f"{service} {method} {path}: open after {30 * BODY_SECONDS} s"
            line = answer.result().strip()
            async with asyncio.timeout(30):
                with suppress(ConnectionError):
                    await reader.read()
        except ConnectionError as error:
            return f"{service} {method} {path}: {error!r}"
        finally:
            writer.transport.abort()
        if line.startswith(b"HTTP/1.1 408 "):
            timed_out[service] += 1
        # What is answered before its body is read (404, 409) ends in the time that a refused sender gets.
        return None if re.match(rb"HTTP/1.1 (2|4)\d\d ", line) else f"{service} {method} {path}: {line!r}"

    timed_out: Counter[str] = Counter()
    operations = [
        (service, method, path)
        for service, method, path, operation in everything.operations
        if method in {"POST", "PUT", "PATCH"} and service != "ingress"
    ]
    found = await asyncio.gather(*(trickle(*operation) for operation in operations))
    assert [fault for fault in found if fault] == []
    assert timed_out.keys() == {service for service, *_ in operations}
