"""What every request passes: the Host header, the origin of changes, the headers of answers, refusals as pages."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from headrace.runtime.errors import ConfigurationError, Permanent, Retryable
from headrace.runtime.logging import get_logger, redact
from headrace.web.errors import Refusal
from headrace.web.listener import has_left
from headrace.web.parameters import BadParameter, shown

_log = get_logger(__name__)

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_READING: Final = frozenset({"GET", "HEAD"})
_RETRY_SECONDS: Final = "5"
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "font", "connect")),
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Page = Callable[[web.Request, int, str], web.Response]


def check_start(*, lenient: bool, host: str, lenient_anywhere: bool) -> None:
    """Raise `ConfigurationError` for a console without a login that others than this machine can reach."""
    if lenient and host not in LOOPBACK and not lenient_anywhere:
        raise ConfigurationError(
            f"HEADRACE_HOST: got {host!r} with HEADRACE_LENIENT, expected a loopback address: the console asks for no "
            "login then; CONSOLE_LENIENT_ANYWHERE=true starts it all the same"
        )


def known_host(names: frozenset[str], *, lenient: bool) -> Middleware:
    """Middleware that refuses other hosts: a page elsewhere whose name leads here could act as whoever reads it."""
    allowed = LOOPBACK | names

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (lenient or names) and (name := host_name(request.host)) not in allowed:
            raise Refusal(421, f"Host: got {shown(name)!r}, expected localhost or a name in CONSOLE_HOSTS")
        return await handler(request)

    return middleware


def host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets, in lower case; empty if it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


@web.middleware
async def own_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a change that a page of another origin sends. Browsers say where a request comes from."""
    if request.method not in _READING and not _is_own(request):
        raise Refusal(403, "the request does not come from a page of the console (Sec-Fetch-Site, Origin)")
    return await handler(request)


def _is_own(request: web.Request) -> bool:
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    origin = request.headers.get("Origin", "")
    return bool(origin) and origin.partition("://")[2].lower() == request.host.lower()


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers that every answer has; what an organisation sees stays in no cache."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")


def refusals_as(page: Page) -> Middleware:
    """Middleware that answers every failure as a page with its reason."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:
            if isinstance(error, ConnectionError) and has_left(request):
                raise
            if isinstance(error, web.HTTPException) and error.status < HTTPStatus.BAD_REQUEST:
                raise
            status, reason = _refusal_of(error, request)
        answer = page(request, status, redact(reason))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            answer.headers["Retry-After"] = _RETRY_SECONDS
        return answer

    return middleware


def _refusal_of(error: Exception, request: web.Request) -> tuple[int, str]:
    match error:
        case Refusal():
            return error.status, error.reason
        case BadParameter():
            return 400, str(error)
        case Retryable() | Permanent():
            # Another service is away, or refused.
            return 503 if isinstance(error, Retryable) else 502, str(error)
        case web.HTTPNotFound():
            return 404, "there is no such page"
        case web.HTTPException():
            return error.status, error.text or error.reason
    _log.exception("unexpected_error", path=request.path, exc_info=error)
    return 500, "an unexpected error was logged"
