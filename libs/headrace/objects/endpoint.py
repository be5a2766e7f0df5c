"""The address of an S3 service and the keys for it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings


@dataclass(frozen=True)
class S3Endpoint:
    """An S3 endpoint: its ``url`` (scheme, host, port) and Headrace's keys; equal endpoints can copy server-side."""

    url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    # The URL in presigned URLs, if consumers reach the service by another name.
    public_url: str = ""
    # Further names (`host:port`) by which messages may refer to it; they are never connected to.
    aliases: frozenset[str] = field(default=frozenset(), compare=False)

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        access_key: str = "",
        secret_key: str = "",
        region: str = "",
        public_url: str = "",
        aliases: Iterable[str] = (),
    ) -> Self:
        """Parse ``http://key:secret@host:port``; the keys may also be given separately."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                f"S3 endpoint: got {url.rpartition('@')[2]!r}, expected http(s)://[key:secret@]host[:port]"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        netloc = f"{host}:{parts.port}" if parts.port else host
        return cls(
            url=f"{parts.scheme}://{netloc}",
            access_key=unquote(parts.username or "") or access_key,
            secret_key=unquote(parts.password or "") or secret_key,
            region=region or "us-east-1",
            public_url=public_url.rstrip("/"),
            aliases=frozenset(alias.lower() for alias in aliases),
        )

    @classmethod
    def of(cls, engines: EngineSettings) -> Self:
        """Return the platform's own S3."""
        return cls.parse(
            engines.s3,
            access_key=engines.s3_access_key,
            secret_key=engines.s3_secret_key,
            region=engines.s3_region,
            public_url=engines.s3_public,
            aliases=engines.s3_aliases.replace(",", " ").split(),
        )
