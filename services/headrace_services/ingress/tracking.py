"""``GET track/{id}``: the payload tracker's statuses of a payload, for the organisation that owns it."""

from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson
from aiohttp import web

from headrace.contracts.headers import IDENTITY_HEADER
from headrace.contracts.identity import Identity
from headrace.runtime.logging import get_logger
from headrace.web.errors import Refusal
from headrace.web.parameters import Custom, Parameter
from headrace.web.schemas import TEXT
from headrace_services.ingress.callers import Identities, Sender
from headrace_services.ingress.handlers import identify
from headrace_services.ingress.request_ids import is_valid

_log = get_logger(__name__)

_SHOWN: Final = ("status_msg", "date", "inventory_id", "service", "status")


def _verbosity(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 else 0


ASKED: Final = Parameter("requestID", Custom(TEXT | {"minLength": 1}, str), "", where="path", is_rest=True)
VERBOSITY: Final = Parameter(
    "verbosity",
    Custom({"type": "integer", "minimum": 0, "maximum": 99}, _verbosity),
    0,
    "2 or more: everything that the payload tracker knows. Text that is not a number counts as 0.",
)


class Tracking:
    """Queries the tracker on behalf of a sender."""

    def __init__(self, url: str, timeout_seconds: float, identities: Identities) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._identities = identities
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections to the tracker."""
        if self._session:
            await self._session.close()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one query."""
        sender = identify(self._identities, request)
        request_id = ASKED.read(request.match_info)
        if not is_valid(request_id):
            raise Refusal(400, f"request id is not valid: {request_id[:200]!r}")
        try:
            status, body = await self._ask(request_id, sender)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _log.warning("tracker_unavailable", reason=f"{type(error).__name__}: {error}")
            raise Refusal(500, "The payload tracker does not answer") from None
        rows = body.get("data") if isinstance(body, dict) else None
        if status == 404 or not rows:
            raise Refusal(404, f"No payload with the request id {request_id}")
        # Upstream's tracker shows the payloads of every organisation, Headrace's only the sender's own.
        own = [row for row in rows if _may_read(sender.identity, row)]
        if not own:
            raise Refusal(403, "The payload belongs to another organisation")
        if VERBOSITY.read(request.query) < 2:
            body = {name: own[0][name] for name in _SHOWN if own[0].get(name)}
        elif own != rows:
            body = {"data": own}
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    async def _ask(self, request_id: str, sender: Sender) -> tuple[int, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_seconds))
        headers = {IDENTITY_HEADER: sender.b64_identity}
        async with self._session.get(self._url + quote(request_id, safe=""), headers=headers) as response:
            if response.status not in {200, 404}:
                raise ValueError(f"it answers {response.status}")
            return response.status, orjson.loads(await response.read())


def _may_read(identity: Identity, row: dict[str, Any]) -> bool:
    return identity.is_associate or (bool(identity.org_id) and identity.org_id == row.get("org_id"))
