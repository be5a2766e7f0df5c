"""An upload from its part header until it is stored in S3."""

from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final

from headrace_services.ingress.budget import Budget, Busy
from headrace_services.ingress.content_types import Kind
from headrace_services.ingress.forms import FilePart
from headrace_services.ingress.store import Staged, Upload

# A sender may buffer this much without holding a place that others need.
_FREE_BYTES: Final = 64 << 10
# A smaller body is stored in one request, which costs a third less than parts, if memory is available.
_WHOLE_BYTES: Final = 16 << 20


@dataclass(frozen=True)
class Admission:
    """The shared resources of uploads.

    Without a free place `Busy` is raised; without free memory a body goes in small parts.
    """

    places: Budget
    memory: Budget


class TooLarge(Exception):
    """The file part is over its limit; answered 413."""


class PendingUpload:
    """Counts, limits and passes on the bytes of a file part."""

    def __init__(
        self,
        part: FilePart,
        kind: Kind,
        upload: Upload,
        admission: Admission,
        *,
        limit_bytes: int,
        expected_bytes: int,
    ) -> None:
        self.part = part
        self.kind = kind
        self.size = 0
        self._upload = upload
        self._admission = admission
        self._limit_bytes = limit_bytes
        self._expected_bytes = expected_bytes
        self._early: list[bytes] | None = []
        self._place = AsyncExitStack()
        self._finished = False

    async def write(self, chunk: bytes) -> None:
        """Pass on bytes; raises `TooLarge` at the first byte above the limit, `Busy` if no place is free in time."""
        self.size += len(chunk)
        if self.size > self._limit_bytes:
            raise TooLarge(
                f"File exceeds maximum file size ({self._limit_bytes}) for upload:"
                f" more than {self._limit_bytes} bytes"
            )
        if self._early is None:
            await self._upload.write(chunk)
            return
        self._early.append(chunk)
        if self.size > _FREE_BYTES:
            await self._take_place()
            await self._take_memory()
            await self._pass_on_early()

    async def finish(self) -> Staged:
        """Make the upload durable and release the place; raises `Retryable` if S3 cannot."""
        if self._early is not None:
            # The whole body is within what a sender may buffer without a place, so it needs no share of the memory.
            await self._take_place()
            await self._pass_on_early()
        staged = await self._upload.finish()
        self._finished = True
        await self._place.aclose()
        return staged

    async def abort(self) -> None:
        """Delete what is stored, unless the upload is already durable."""
        try:
            if not self._finished:
                await self._upload.abort()
        finally:
            await self._place.aclose()

    async def _take_place(self) -> None:
        await self._place.enter_async_context(self._admission.places.reserve(1))

    async def _take_memory(self) -> None:
        if self._expected_bytes <= self._upload.hold_bytes:
            # Without a share of the memory the upload may hold this much anyway, so waiting would gain nothing.
            return
        with suppress(Busy):
            if self._expected_bytes <= _WHOLE_BYTES:
                await self._place.enter_async_context(self._admission.memory.reserve(self._expected_bytes))
                self._upload.hold_bytes = max(self._expected_bytes, self._upload.hold_bytes)
            else:
                await self._place.enter_async_context(self._admission.memory.reserve(self._upload.hold_bytes))

    async def _pass_on_early(self) -> None:
        early, self._early = self._early or [], None
        for chunk in early:
            await self._upload.write(chunk)
