"""Usage files and manifests that nobody's operator writes: streamed in chunks, made as they are read."""

import json
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from headrace.samples.cost_columns import ROS_CONTAINER

MIB = 1 << 20
CHUNK = 1 << 18
HEADER = ",".join(ROS_CONTAINER).encode() + b"\n"
ROW = b",".join([b"2026-07-31 00:00:01 +0000 UTC", *repeat(b"1", len(ROS_CONTAINER) - 1)]) + b"\n"

Pieces = Iterator[bytes]


def _names(count: int) -> Pieces:
    for start in range(0, count, 10_000):
        yield b",".join(b"c%d" % number for number in range(start, start + 10_000)) + b","


def _many(piece: bytes, size_bytes: int) -> Pieces:
    whole = piece * max(1, CHUNK // len(piece))
    return repeat(whole, size_bytes // len(whole))


GOOD = {
    "report_period_start": "2026-07-01 00:00:00 +0000 UTC",
    "report_period_end": "2026-08-01 00:00:00 +0000 UTC",
    "interval_start": "2026-07-31 00:00:01 +0000 UTC",
    "interval_end": "2026-07-31 00:15:00 +0000 UTC",
    "container_name": "server",
    "pod": "app-1",
    "owner_name": "app-5c9",
    "owner_kind": "ReplicaSet",
    "workload": "app",
    "workload_type": "deployment",
    "namespace": "shop",
    "image_name": "quay.io/shop/app:1",
    "node": "node-1",
    "resource_id": "i-1",
}


def row(**changes: str) -> bytes:
    return ",".join((GOOD | changes).get(name, "1.5") for name in ROS_CONTAINER).encode() + b"\n"


def honest() -> Pieces:
    """As large as they come."""
    return chain([HEADER], (row(container_name=f"c{n % 500}") * 20 for n in range(2000)))


FILES: dict[str, Callable[[], Pieces]] = {
    "a million columns": lambda: _names(1_000_000),
    "a million columns more than its kind has": lambda: chain(
        [HEADER[:-1] + b","], _names(1_000_000), [b"last\n"], _many(ROW, MIB)
    ),
    "4,000 more columns and a million short rows": lambda: chain(
        [HEADER[:-1] + b","],
        _names(1),
        [b",".join(b"x%d" % n for n in range(4000)) + b"\n"],
        _many(b"1\n", 2 * MIB),
    ),
    "a header of a megabyte": lambda: chain([b"x" * MIB, b"," + HEADER], _many(ROW, MIB)),
    "one name 100,000 times": lambda: chain(
        [HEADER[:-1] + b",", b"same," * 100_000, b"same\n"], _many(ROW, MIB)
    ),
    "a million empty names": lambda: chain([HEADER[:-1], b"," * 1_000_000, b"\n"], _many(ROW, MIB)),
    "no header's end": lambda: _many(b"x", 100 * MIB),
    "a row of 100 MB": lambda: chain([HEADER], _many(b"x", 100 * MIB)),
    "a row of 100 million commas": lambda: chain([HEADER], _many(b",", 100 * MIB)),
    "rows of a million commas": lambda: chain([HEADER], _many(b"," * MIB + b"\n", 16 * MIB)),
    "rows of 7 MiB": lambda: chain([HEADER], _many(b"x" * (7 * MIB) + b"\n", 35 * MIB)),
    "an open quote": lambda: chain([HEADER, b'"'], _many(ROW, 64 * MIB)),
    "an open quote in each row": lambda: chain([HEADER], _many(b'"' + ROW, 8 * MIB)),
    "quotes only": lambda: chain([HEADER], _many(b'"', 64 * MIB)),
    "quoted quotes": lambda: chain([HEADER], _many(b'""""""""\n', 8 * MIB)),
    "an open quote in the header": lambda: chain([b'"' + HEADER], _many(ROW, 16 * MIB)),
    "five million newlines": lambda: _many(b"\n", 5 * MIB),
    "five million newlines below a header": lambda: chain([HEADER], _many(b"\n", 5 * MIB)),
    "carriage returns": lambda: chain([HEADER], _many(b"\r", 32 * MIB)),
    "millions of tiny rows": lambda: chain([HEADER], _many(b"1\n", 12 * MIB)),
    "NULs": lambda: chain([HEADER], _many(b"\0", 32 * MIB)),
    "rows with NULs": lambda: chain([HEADER], _many(ROW.replace(b"1", b"\0"), 8 * MIB)),
    "UTF-16": lambda: iter([(HEADER + ROW * 10_000).decode().encode("utf-16")]),
    "UTF-16 without a mark": lambda: iter([(HEADER + ROW * 10_000).decode().encode("utf-16-le")]),
    "no UTF-8": lambda: chain([HEADER], _many(b"\xff\xfe" * 100 + b"\n", 16 * MIB)),
    "long digits": lambda: chain(
        [HEADER], _many(ROW.replace(b",1,", b"," + b"9" * 5000 + b",", 3), 32 * MIB)
    ),
    "numbers beyond a double": lambda: chain([HEADER], _many(ROW.replace(b",1", b",1e999999"), 32 * MIB)),
    "years of five digits": lambda: chain([HEADER], _many(ROW.replace(b"2026-", b"99999-"), 32 * MIB)),
    "other names in each row": lambda: chain(
        [HEADER], (ROW.replace(b",1", b",n%d" % number) for number in range(30_000))
    ),
    "one container more than can be": lambda: chain(
        [HEADER], (row(container_name=f"c{number}") for number in range(100_001))
    ),
    "long names of containers": lambda: chain(
        [HEADER],
        (
            row(
                container_name=f"{n:0253}",
                namespace=f"{n:0253}",
                workload=f"{n:0253}",
                image_name=f"{n:01024}",
            )
            for n in range(90_000)
        ),
    ),
    "a name of a megabyte": lambda: chain([HEADER], _many(row(namespace="n" * (MIB - 10)), 16 * MIB)),
    "a long name in each row": lambda: chain(
        [HEADER], (row(namespace=f"{number:0100000}") for number in range(300))
    ),
}


# Taken in up to the limits, and so as dear as they come.
LARGE = {
    "one container more than can be",
    "long names of containers",
    "a long name in each row",
    "a name of a megabyte",
    "other names in each row",
    "years of five digits",
}


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


MANIFEST = {
    "uuid": "91cde2a1-2c3a-4d15-a6b7-0123456789ab",
    "cluster_id": "1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c",
    "date": "2026-07-31T00:00:00Z",
}


def _manifest(**fields: object) -> bytes:
    return json.dumps(MANIFEST | fields).encode()


def _with(text: bytes) -> bytes:
    return _manifest()[:-1] + b',"cr_status":' + text + b"}"


MANIFESTS: dict[str, Callable[[], bytes]] = {
    "manifest: nested 100,000": lambda: _with(nested(100_000)),
    "manifest: nested 150": lambda: _with(nested(150)),
    "manifest: a million files": lambda: _manifest(files=[f"f{number}" for number in range(700_000)]),
    "manifest: a million ROS files": lambda: _manifest(
        resource_optimization_files=[f"f{n}" for n in range(700_000)]
    ),
    "manifest: a million bad names": lambda: _manifest(files=["../x"] * 1_000_000),
    "manifest: one name a million times": lambda: _manifest(files=["x.csv"] * 1_000_000),
    "manifest: an integer of a million digits": lambda: _with(b"1" * 1_000_000),
    "manifest: a number beyond a double": lambda: _with(b"1e999999"),
    "manifest: empty lists": lambda: _with(b"[" + b"[]," * 3_000_000 + b"[]]"),
    "manifest: unknown keys": lambda: json.dumps(MANIFEST | {f"k{n}": n for n in range(500_000)}).encode(),
    "manifest: one key a million times": lambda: b"{" + b'"uuid":1,' * 1_000_000 + _manifest()[1:],
    "manifest: a year of five digits": lambda: _manifest(date="99999-01-01T00:00:00Z"),
    "manifest: a long text": lambda: _manifest(version="x" * (9 * MIB)),
    "manifest: UTF-16": lambda: _manifest().decode().encode("utf-16"),
    "manifest: NULs": lambda: b"\0" * (9 * MIB),
    "manifest: an open quote": lambda: b'{"uuid":"' + b"x" * (9 * MIB),
}
