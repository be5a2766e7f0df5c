"""The protocol between the service and its workers' processes: pieces of bytes, each preceded by its length."""

import socket
import struct
from asyncio import StreamReader
from typing import Final

LENGTH: Final = struct.Struct("<I")
# An order to the fork server: its kind and a process id. The answer is one number.
ORDER: Final = struct.Struct("<cI")
ANSWER: Final = struct.Struct("<q")
FORK: Final = b"F"
BURY: Final = b"B"

# A published report has at most a megabyte; reading a larger reply would block the event loop.
_MAX_REPLY_BYTES: Final = 32 << 20


class ReplyTooLarge(Exception):
    """A worker announces a reply that is larger than allowed."""


def frame(*pieces: bytes) -> bytes:
    """Return one message of several pieces."""
    return b"".join(part for piece in pieces for part in (LENGTH.pack(len(piece)), piece))


async def read_piece(reader: StreamReader) -> bytes:
    """Read one piece; raises ``asyncio.IncompleteReadError`` if the other end is closed."""
    (size_bytes,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if size_bytes > _MAX_REPLY_BYTES:
        raise ReplyTooLarge(f"{size_bytes} bytes")
    return await reader.readexactly(size_bytes)


def receive_piece(connection: socket.socket) -> bytes:
    """Receive one piece from a blocking socket; raises ``EOFError`` if the other end is closed."""
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
    # There is nearly always only one piece, which need not be copied.
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
