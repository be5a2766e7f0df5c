"""What goes between the service and its workers' processes: pieces of bytes, each with its length before it."""

import socket
import struct
from asyncio import StreamReader
from typing import Final

LENGTH: Final = struct.Struct("<I")
# To the fork server: what is asked, and of which process; it answers with one number.
ORDER: Final = struct.Struct("<cI")
ANSWER: Final = struct.Struct("<q")
FORK: Final = b"F"
BURY: Final = b"B"

# What is published of it is a message of a megabyte; to read more holds the event loop.
_MAX_REPLY_BYTES: Final = 32 << 20


class ReplyTooLarge(Exception):
    """A worker announces more than anybody would read."""


def frame(*pieces: bytes) -> bytes:
    """Make one message of several pieces."""
    return b"".join(part for piece in pieces for part in (LENGTH.pack(len(piece)), piece))


async def read_piece(reader: StreamReader) -> bytes:
    """Read one piece; raises ``asyncio.IncompleteReadError`` when the other end is gone."""
    (size_bytes,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if size_bytes > _MAX_REPLY_BYTES:
        raise ReplyTooLarge(f"{size_bytes} bytes")
    return await reader.readexactly(size_bytes)


def receive_piece(connection: socket.socket) -> bytes:
    """Read one piece from a blocking socket; raises ``EOFError`` when the other end is gone."""
    (size_bytes,) = LENGTH.unpack(_received(connection, LENGTH.size))
    return _received(connection, size_bytes)


def _received(connection: socket.socket, size_bytes: int) -> bytes:
    pieces: list[bytes] = []
    while size_bytes:
        piece = connection.recv(size_bytes, socket.MSG_WAITALL)
        if not piece:
            raise EOFError
        pieces.append(piece)
        size_bytes -= len(piece)
    # Almost always the only one, which is not copied again.
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
