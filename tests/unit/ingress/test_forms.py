import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.web.multipart import file_form
from headrace_services.ingress import forms
from headrace_services.ingress.forms import BadForm, Body, FilePart, Form, FormReader, TooSlow
from headrace_services.ingress.parts import MAX_HEADER_BYTES
from tests.calibration import Calibration
from tests.integration.ingress.harness import BOUNDARY, FORM, form, part, value


class Chunks:
    """A body that comes in these pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = iter([piece for piece in pieces if piece])

    async def read(self) -> bytes:
        return next(self._pieces, b"")


class Sinks:
    """Opens a sink for every file part it is asked for."""

    def __init__(self) -> None:
        self.parts: list[FilePart] = []
        self.bytes: list[bytearray] = []

    async def open(self, opened: FilePart) -> "Sinks":
        self.parts.append(opened)
        self.bytes.append(bytearray())
        return self

    async def write(self, chunk: bytes) -> None:
        assert isinstance(chunk, bytes)
        self.bytes[-1] += chunk

    async def abort(self) -> None:
        raise AssertionError("not aborted by the reader")


async def read(*pieces: bytes, content_type: str = FORM, max_parts: int = 20) -> tuple[Form, Sinks]:
    sinks = Sinks()
    found = await FormReader(sinks.open, max_parts).read(content_type, cast("Any", Chunks(pieces)))
    return found, sinks


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


# Bytes made of what a boundary is made of, so that near misses are frequent.
payloads = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"-", b"\r\n--", BOUNDARY.encode(), BOUNDARY.encode()[:5], b"x", b"\0" * 50]
    )
).map(b"".join)
cuts = st.lists(st.integers(0, 5000), max_size=40)


@given(payloads, payloads, cuts)
@pytest.mark.row(8)
def test_a_body_reads_the_same_however_it_is_cut(payload: bytes, metadata: bytes, at: list[int]):
    delimiter = b"\r\n--" + BOUNDARY.encode()
    payload, metadata = (text.replace(delimiter, b"") for text in (payload, metadata))
    if delimiter in b"\r\n" + payload + metadata or payload.startswith(delimiter[2:]):
        return
    body = form(value("other", "x"), part(metadata, name="metadata"), part(payload), value("late", "y"))
    found, sinks = asyncio.run(read(*split(body, at)))
    assert bytes(sinks.bytes[0]) == payload
    assert found.metadata == metadata
    assert found.names == ["other", "metadata", "file", "late"]


@given(cuts, st.integers(1, 400))
@pytest.mark.row(8)
def test_a_body_that_ends_early_is_refused_wherever(at: list[int], missing: int):
    body = form(value("other", "x"), part(b"y" * 200))
    # The last line break after the closing delimiter may be left out.
    whole = body[: -min(missing + 2, len(body) - 1)]
    with pytest.raises(BadForm):
        asyncio.run(read(*split(whole, at)))


async def test_a_file_part_is_given_with_its_content_type_verbatim():
    _, sinks = await read(form(part(b"abc", content_type="Application/GZIP ; x=Y")))
    assert sinks.parts == [FilePart("file", "Application/GZIP ; x=Y")]
    _, sinks = await read(form(part(b"", name="upload", content_type=None)))
    assert sinks.parts == [FilePart("upload", "")]


async def test_the_form_that_our_senders_make_is_read():
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"\x1f\x8b", b"\r\n--", b"x"):
            yield chunk

    made = file_form(chunks(), file_name="a.tgz", content_type="application/vnd.redhat.x+tgz")
    _, sinks = await read(await made.as_bytes(), content_type=made.content_type)
    assert sinks.parts == [FilePart("file", "application/vnd.redhat.x+tgz")]
    assert sinks.bytes == [b"\x1f\x8b\r\n--x"]


async def test_a_part_without_file_name_is_no_file():
    found, sinks = await read(form(part(b"abc", filename=None), part(b"x", filename="")))
    assert (sinks.parts, found.names) == ([], ["file", "file"])


@pytest.mark.parametrize(
    ("parts", "metadata"),
    [
        ([], None),
        ([value("metadata", "")], None),
        ([value("metadata", "v")], b"v"),
        ([part(b"", name="metadata")], b""),
        ([part(b"f", name="metadata")], b"f"),
        ([part(b"f", name="metadata"), value("metadata", "v")], b"f"),
        ([value("metadata", "v"), part(b"f", name="metadata")], b"f"),
        ([value("metadata", "v"), value("metadata", "w")], b"v"),
    ],
)
async def test_metadata_is_a_file_part_before_a_value(parts: list[bytes], metadata: bytes | None):
    found, _ = await read(form(part(b"abc"), *parts))
    assert found.metadata == metadata


@pytest.mark.parametrize(
    "content_type",
    [
        "", "text/plain", "application/json", "multipart/mixed; boundary=x", "multipart/form-data",
        "multipart/form-data; boundary=", 'multipart/form-data; boundary=""', "multipart/form-data; boundary=other",
        "multipart/form-data; boundary=\udcff", "multipart/form-data; boundary=" + "x" * 9000,
    ],
)  # fmt: skip
@pytest.mark.row(8)
async def test_a_body_without_its_boundary_is_refused(content_type: str):
    with pytest.raises(BadForm):
        await read(form(part(b"abc")), content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        form(),
        form(*[value("x", "y")] * 21),
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'.encode(),
        f"--{BOUNDARY}\r\nno header\r\n\r\nabc\r\n--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\nX: {'y' * MAX_HEADER_BYTES}\r\n\r\nabc\r\n--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\n{'X: y' * 100_000}".encode(),
        f"--{BOUNDARY}\r\n".encode() + b"X: y\r\n" * 10_001 + b"\r\n" + form(),
    ],
    ids=range(10),
)
@pytest.mark.row(8)
async def test_a_broken_body_is_refused_or_holds_no_file(body: bytes):
    try:
        found, sinks = await read(*split(body, range(0, len(body), 4096)))
    except BadForm:
        return
    assert not sinks.parts
    assert not any(found.names)


async def test_the_error_text_does_not_grow_with_what_was_sent():
    found, _ = await read(form(*[value("n" * 500, "")] * 15))
    assert len(found.names) == 10
    assert all(len(name) <= 40 for name in found.names)


@pytest.mark.parametrize("place", ["preamble", "value", "epilogue"])
async def test_what_is_not_the_file_is_bounded_wherever_it_stands(place: str, monkeypatch):
    monkeypatch.setattr(forms, "MAX_OTHER_BYTES", 10_000)
    filler = [b"x" * 999 + b"\n"] * 20
    whole = form(part(b"a" * 50_000))
    pieces = {
        "preamble": [*filler, b"\r\n" + whole],
        "value": [part(b"a" * 50_000), value("other", "")[:-2], *filler, b"\r\n" + form()],
        "epilogue": [whole, *filler],
    }[place]
    with pytest.raises(BadForm, match="more than 10000 bytes beside the file"):
        await read(*pieces)
    assert (await read(whole))[0].names == ["file"]


async def test_metadata_is_bounded():
    with pytest.raises(BadForm, match="metadata is longer"):
        await read(form(part(b"x" * (forms.MAX_METADATA_BYTES + 1), name="metadata")))


class Trickle:
    """A stream reader's one method in use here."""

    def __init__(self, pause_seconds: float, piece: bytes = b"x") -> None:
        self.pause_seconds, self.piece = pause_seconds, piece

    async def readchunk(self) -> tuple[bytes, bool]:
        await asyncio.sleep(self.pause_seconds)
        return self.piece, False


async def read_all(body: Body) -> None:
    while await body.read():
        pass


async def test_a_trickle_is_dropped_after_its_window():
    machine = Calibration()
    began = asyncio.get_running_loop().time()
    with pytest.raises(TooSlow):
        await read_all(Body(cast("Any", Trickle(0.01)), base_seconds=60, window_seconds=0.3, largest=0))
    lasted = asyncio.get_running_loop().time() - began
    assert 0.25 < lasted < machine.wall(2)


async def test_a_steady_sender_is_dropped_at_the_deadline():
    with pytest.raises(TooSlow):
        await read_all(
            Body(cast("Any", Trickle(0.01, b"x" * 1024)), base_seconds=0.3, window_seconds=0.2, largest=0)
        )


async def test_a_sender_is_not_late_for_the_time_that_we_take():
    body = Body(cast("Any", Trickle(0, b"x" * 1024)), base_seconds=0.2, window_seconds=0.1, largest=0)
    for _ in range(4):
        await body.read()
        await asyncio.sleep(0.1)
    assert await body.read()
