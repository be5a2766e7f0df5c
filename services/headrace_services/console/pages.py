"""Pages: templates, what every template can use, and the static files. Everything escapes by itself."""

import gzip
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

from headrace.contracts.message import utc_now
from headrace.web.errors import Refusal
from headrace_services.console import words

PREFIX: Final = "/console"
_HERE: Final = Path(__file__).parent
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_COMPRESSED: Final = frozenset({".js", ".css", ".svg", ".txt"})
# The name contains the hash of the content, so that a new release is never mixed with an old file.
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class File:
    """A static file; ``name`` contains the beginning of its hash."""

    name: str
    body: bytes
    compressed: bytes
    content_type: str


@cache
def files() -> Mapping[str, File]:
    """Return the static files by the names they have in the folder; reads them once."""
    paths = [path for path in sorted((_HERE / "static").iterdir()) if path.suffix in _TYPES]
    found = {path.name: _file(path, path.read_bytes()) for path in paths if path.suffix != ".css"}
    for path in paths:
        if path.suffix == ".css":
            text = path.read_text(encoding="utf-8")
            for name, file in found.items():
                text = text.replace(f'url("{name}")', f'url("{file.name}")')
            found[path.name] = _file(path, text.encode())
    return found


def _file(path: Path, body: bytes) -> File:
    mark = urlsafe_b64encode(sha256(body).digest())[:12].decode()
    compressed = gzip.compress(body, mtime=0) if path.suffix in _COMPRESSED else b""
    return File(f"{path.stem}.{mark}{path.suffix}", body, compressed, _TYPES[path.suffix])


def static(request: web.Request, name: str) -> web.Response:
    """Answer a static file by the name with its hash."""
    found = next((file for file in files().values() if file.name == name), None)
    if found is None:
        raise Refusal(404, "there is no such page")
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    if found.compressed and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=found.compressed, content_type=found.content_type, headers=headers)
    return web.Response(body=found.body, content_type=found.content_type, headers=headers)


@cache
def environment() -> Environment:
    """Return the templates, all of them compiled; reads them once."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (_HERE / "templates").iterdir()}
    made = Environment(
        loader=DictLoader(texts),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        visible=words.visible,
        mask=words.mask,
        utf8=words.utf8,
        is_plain=words.is_plain,
        size=words.size,
        count=words.count,
        rate=words.rate,
        span=words.span,
        part=part,
    )
    made.globals.update(
        link=link, asset=_asset, plural=words.plural, stamp=words.stamp, amount=words.amount, PREFIX=PREFIX
    )
    for name in texts:
        made.get_template(name)
    return made


def render(template: str, **values: Any) -> str:
    """Return a page's HTML; ``now`` is the time to which ages refer."""
    now: datetime = values.pop("now", None) or utc_now()

    def age(value: Any) -> str:
        found = words.moment(value)
        return words.ago(found, now) if found else ""

    return environment().get_template(template).render(now=now, age=age, moment=words.moment, **values)


def answer(html: str, status: int = 200) -> web.Response:
    """Return HTML as an answer."""
    response = web.Response(text=html, status=status, content_type="text/html")
    response.enable_compression()
    return response


def part(text: Any) -> str:
    """Return a text as one part of a path."""
    return quote(str(text), safe="")


def link(path: str, **query: Any) -> str:
    """Return the address of a page with those values of its query that are not empty."""
    pairs = {name: str(value) for name, value in query.items() if value not in {None, ""}}
    return f"{PREFIX}{path}" + (f"?{urlencode(pairs)}" if pairs else "")


def _asset(name: str) -> str:
    return f"{PREFIX}/static/{files()[name].name}"
