"""Tells of refused uploads: a status each, so that a sender's people and operators read the reason where they look.

It is bounded, because anyone can be refused: some a second for each replica, and no more than a few wait for Kafka.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from headrace.bus.statuses import StatusReporter
from headrace.contracts.identity import Identity
from headrace.contracts.status import ERROR, REFUSED
from headrace.runtime.errors import Retryable
from headrace.web.errors import Refusal
from headrace_services.ingress import metrics

_PER_SECOND: Final = 10
_WAITING: Final = 50
_SEND_SECONDS: Final = 5.0
_MAX_USER_AGENT: Final = 200


@dataclass(frozen=True)
class RefusedUpload:
    """What is told of one; ``identity`` is None where the sender is nobody known."""

    request_id: str
    identity: Identity | None
    refusal: Refusal
    user_agent: str
    upload_service: str = ""

    @property
    def text(self) -> str:
        """The text of the status."""
        agent = "".join(character if character.isprintable() else "?" for character in self.user_agent)
        told = f"refused with {self.refusal.status}: {self.refusal.reason.strip()}"
        return f"{told} (user agent {agent[:_MAX_USER_AGENT]})" if agent else told


class Refusals:
    """Reports refused uploads behind the answers, which wait for nothing."""

    def __init__(self, statuses: StatusReporter, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._statuses = statuses
        self._clock = clock
        self._waiting: asyncio.Queue[RefusedUpload] = asyncio.Queue(_WAITING)
        self._left = float(_PER_SECOND)
        self._at = clock()

    def note(self, upload: RefusedUpload) -> None:
        """Report it soon; one too many is only counted."""
        now = self._clock()
        self._left = min(float(_PER_SECOND), self._left + (now - self._at) * _PER_SECOND)
        self._at = now
        if self._left < 1 or self._waiting.full():
            metrics.REFUSALS_UNTOLD.inc()
            return
        self._left -= 1
        self._waiting.put_nowait(upload)

    async def run(self) -> None:
        """Report what was noted, until the process stops."""
        while True:
            upload = await self._waiting.get()
            identity = upload.identity or Identity()
            try:
                await self._statuses.report(
                    upload.request_id,
                    ERROR,
                    upload.text,
                    source=REFUSED,
                    account=identity.account_number,
                    org_id=identity.org_id,
                    system_id=identity.cluster_id or None,
                    upload_service=upload.upload_service or None,
                    timeout_seconds=_SEND_SECONDS,
                )
            except Retryable:
                metrics.REFUSALS_UNTOLD.inc()
