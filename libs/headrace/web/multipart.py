"""The body of an upload as ingress takes it: multipart/form-data with one part named ``file``, streamed."""

from collections.abc import AsyncIterable
from typing import Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import AsyncIterablePayload

_FIELD: Final = "file"


class _File(AsyncIterablePayload):
    """Chunks whose size may be known before they are read; what comes beyond it is not sent."""

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
    """The form, for the ``data`` of one request; it names its own content type.

    With ``size_bytes`` the request says its length beforehand, without it goes in chunks.
    """
    file = _File(chunks, size_bytes, content_type)
    # Ingress and the services behind it read the name as it is, so that it is not percent-encoded.
    file.set_content_disposition("form-data", quote_fields=False, name=_FIELD, filename=file_name)
    form = aiohttp.MultipartWriter("form-data")
    form.append_payload(file)
    return form
