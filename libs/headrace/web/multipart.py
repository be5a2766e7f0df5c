"""The body of an upload: streamed multipart/form-data with one part named ``file``."""

from collections.abc import AsyncIterable
from typing import Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import AsyncIterablePayload

_FIELD: Final = "file"


class _File(AsyncIterablePayload):
    """Chunks whose total size may be known in advance; bytes beyond that size are not sent."""

    def __init__(self, chunks: AsyncIterable[bytes], size_bytes: int | None, content_type: str) -> None:
        super().__init__(chunks, content_type=content_type)
        self._size_bytes = size_bytes

    @property
    def size(self) -> int | None:
        return self._size_bytes

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, self._size_bytes)


def file_form(
    chunks: AsyncIterable[bytes], *, file_name: str, content_type: str, size_bytes: int | None = None
) -> aiohttp.MultipartWriter:
    """Return the form for the ``data`` argument of one request; it sets the content type.

    With ``size_bytes`` the request has a length; without it the transfer is chunked.
    """
    file = _File(chunks, size_bytes, content_type)
    # Ingress and later services read the name as it is, so it must not be percent-encoded.
    file.set_content_disposition("form-data", quote_fields=False, name=_FIELD, filename=file_name)
    form = aiohttp.MultipartWriter("form-data")
    form.append_payload(file)
    return form
