"""Reads the beginning of a stream without consuming it."""

from collections.abc import AsyncIterator, Callable


async def peeked(
    chunks: AsyncIterator[bytes], enough: Callable[[bytes], bool]
) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return the stream's beginning, once that is ``enough`` or the stream has ended, and the whole stream."""
    head = b""
    while not enough(head):
        chunk = await anext(chunks, None)
        if chunk is None:
            break
        head += chunk

    async def whole() -> AsyncIterator[bytes]:
        if head:
            yield head
        async for chunk in chunks:
            yield chunk

    return head, whole()


def first_line(limit_bytes: int) -> Callable[[bytes], bool]:
    """Return whether the bytes contain a whole line, or more bytes than any header line has."""
    return lambda head: b"\n" in head or len(head) >= limit_bytes
