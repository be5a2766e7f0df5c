"""Handles an ended installation: it is sent, postponed, or ended with a reason."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from headrace.contracts.message import utc_now
from headrace.runtime.answers import is_transient
from headrace.runtime.errors import Permanent, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy
from headrace_services.assisted_events import metrics
from headrace_services.assisted_events.archive import Archive, Builder
from headrace_services.assisted_events.client import Answer, Endpoint
from headrace_services.assisted_events.consent import OPTED_OUT, Consent, management_secret
from headrace_services.assisted_events.credentials import BadCredentials, OptedOut
from headrace_services.assisted_events.ledger import Ledger, Sending
from headrace_services.assisted_events.settings import AssistedSettings

_log = get_logger(__name__)

# The secret has expired; a renewal corrects it for all clusters at once.
_SECRET: Final = frozenset({401, 403})
# The endpoint is busy or away, whatever the cluster.
_BLAMELESS: Final = frozenset({429, 503})


@dataclass(frozen=True)
class Verdict:
    """The meaning of an answer: the final ``state``, or None for a retry.

    ``blameless`` if the answer says nothing about the cluster, ``secret`` if the secret may be the cause.
    """

    state: str | None
    blameless: bool = False
    secret: bool = False


def verdict(answer: Answer) -> Verdict:
    """Return the meaning of an answer: accepted, refused permanently, or to be repeated."""
    status = answer.status
    if answer.accepted:
        return Verdict("sent")
    if status is not None and 300 <= status < 500 and status not in _SECRET and not is_transient(status):
        return Verdict("given_up")
    return Verdict(None, blameless=status in _BLAMELESS, secret=status in _SECRET)


@dataclass
class Sender:
    """Sends one archive at a time. ``paused_until`` (monotonic seconds) is the endpoint's requested pause."""

    ledger: Ledger
    builder: Builder
    endpoint: Endpoint
    settings: AssistedSettings
    consent: Consent
    clock: Callable[[], float] = time.monotonic
    paused_until: float = field(default=0.0, init=False)

    @property
    def pause_seconds(self) -> float:
        """Return how long nothing may be sent."""
        return max(0.0, self.paused_until - self.clock())

    async def send(self, sending: Sending) -> bool:
        """Process one row; return whether its archive was accepted now."""
        if refusal := await self._refusal(sending):
            await self._end(sending, "skipped", refusal)
            return False
        if sending.failures >= self.settings.max_attempts:
            # The process ended during each earlier upload, so no outcome is recorded.
            await self._give_up(sending, sending.reason or "the process ended during each upload")
            return False
        wait = self._policy.hold_seconds(sending.attempts + 1)
        if not await self.ledger.begin(sending, retry_seconds=wait):
            return False
        try:
            secret = management_secret(self.settings)
            async with self.builder.build(sending.cluster_id, secret) as archive:
                return await self._upload(sending, archive, wait)
        except OptedOut as error:
            await self._end(sending, "skipped", f"opted out of telemetry: {error}")
        except BadCredentials as error:
            # The secret may be renewed, so the upload is repeated.
            await self._again(sending, str(error), wait)
        except Permanent as error:
            await self._give_up(sending, str(error))
        except (Retryable, OSError) as error:
            # Headrace's own database or disk failed, whatever the cluster.
            with suppress(Retryable):
                await self._again(sending, str(error) or type(error).__name__, wait, blameless=True)
            raise Retryable(str(error)) from error
        except Exception as error:  # noqa: BLE001 -- logged whole
            # A failure of one cluster must not stop the others.
            _log.exception("unexpected_error", cluster_id=sending.cluster_id)
            await self._again(sending, f"unexpected: {type(error).__name__}", wait)
        return False

    async def _refusal(self, sending: Sending) -> str:
        opted_out = await self.ledger.opted_out(sending.cluster_id)
        return OPTED_OUT if opted_out else self.consent.refusal()

    async def _upload(self, sending: Sending, archive: Archive, wait: float) -> bool:
        if before := await self.ledger.sent_before(sending, archive.sha256):
            await self._end(sending, "skipped", f"the same content was sent as request {before.request_id}")
            return False
        await self.ledger.note(
            sending,
            sha256=archive.sha256,
            size_bytes=archive.size_bytes,
            hosts=archive.hosts,
            events=archive.events,
        )
        # Building takes a while, so the consent is checked again.
        if refusal := await self._refusal(sending):
            await self._end(sending, "skipped", refusal)
            return False
        credentials = await self.builder.credentials(sending.cluster_id, management_secret(self.settings))
        began = self.clock()
        answer = await self.endpoint.upload(archive, credentials.token, sending.request_id)
        metrics.SECONDS.observe(self.clock() - began)
        found = verdict(answer)
        if found.state == "sent":
            metrics.SENT_BYTES.inc(archive.size_bytes)
            await self._end(sending, "sent", "")
            _log.info(
                f"successfully uploaded events for cluster {sending.cluster_id}",
                request_id=sending.request_id,
                size_bytes=archive.size_bytes,
            )
            return True
        if found.state is not None:
            await self._give_up(sending, answer.reason)
            return False
        self.paused_until = max(self.paused_until, self.clock() + answer.retry_after_seconds)
        wait = max(wait, answer.retry_after_seconds)
        blameless = found.blameless or (found.secret and self._awaits_secret(sending))
        await self._again(sending, answer.reason, wait, blameless=blameless)
        return False

    def _awaits_secret(self, sending: Sending) -> bool:
        """Return whether a refused secret may still be renewed for this cluster."""
        return utc_now() - sending.first_seen_at < timedelta(days=self.settings.secret_days)

    async def _again(self, sending: Sending, reason: str, wait: float, *, blameless: bool = False) -> None:
        if not blameless and sending.failures + 1 >= self.settings.max_attempts:
            await self._give_up(sending, reason)
            return
        metrics.SENDINGS.labels("postponed").inc()
        _log.warning(
            f"failed uploading events for cluster {sending.cluster_id}",
            reason=reason,
            retry_seconds=round(wait, 1),
        )
        await self.ledger.postpone(sending, reason, wait, blameless=blameless)

    async def _give_up(self, sending: Sending, reason: str) -> None:
        _log.warning(
            f"failed uploading events for cluster {sending.cluster_id}", reason=reason, given_up=True
        )
        await self._end(sending, "given_up", reason)

    async def _end(self, sending: Sending, state: str, reason: str) -> None:
        metrics.SENDINGS.labels(state).inc()
        await self.ledger.end(sending, state, reason)

    @property
    def _policy(self) -> RetryPolicy:
        return RetryPolicy(
            attempts=self.settings.max_attempts,
            base_seconds=self.settings.retry_seconds,
            cap_seconds=self.settings.max_retry_seconds,
        )
