"""AWS Signature Version 4 for S3, for requests whose payload is not signed.

Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API reference. botocore's signer takes 0.15 ms
for a request, and an upload needs two signatures; this one takes a fifth. Tests compare its signatures with botocore's.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit

from headrace.objects.endpoint import S3Endpoint

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"


def quoted(text: str, safe: str = "-._~") -> str:
    """Percent-encode as the signature requires."""
    return quote(text, safe=safe)


class Signer:
    """Signs for one endpoint; it derives the key of the day once a day."""

    def __init__(self, endpoint: S3Endpoint) -> None:
        self._access_key = endpoint.access_key
        self._secret_key = endpoint.secret_key
        self._region = endpoint.region
        self._day = ""
        self._key = b""

    def headers(
        self, method: str, host: str, path: str, query: str, headers: Mapping[str, str], now: datetime
    ) -> dict[str, str]:
        """Return the headers with their signature; names in ``headers`` are lower case, ``query`` is sorted."""
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        signed = {**headers, "host": host, "x-amz-content-sha256": _UNSIGNED, "x-amz-date": stamp}
        names = sorted(signed)
        canonical = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
        listed = ";".join(names)
        signature = self._sign(f"{method}\n{path}\n{query}\n{canonical}\n{listed}\n{_UNSIGNED}", stamp)
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={self._access_key}/{self._scope(stamp[:8])},"
            f" SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def url(self, base: str, path: str, expires_seconds: int, now: datetime) -> str:
        """Return a presigned GET of ``base`` + ``path``."""
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        credential = quoted(f"{self._access_key}/{self._scope(stamp[:8])}")
        query = (
            f"X-Amz-Algorithm={_ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={stamp}"
            f"&X-Amz-Expires={expires_seconds}&X-Amz-SignedHeaders=host"
        )
        host = urlsplit(base).netloc
        signature = self._sign(f"GET\n{path}\n{query}\nhost:{host}\n\nhost\n{_UNSIGNED}", stamp)
        return f"{base}{path}?{query}&X-Amz-Signature={signature}"

    def _scope(self, day: str) -> str:
        return f"{day}/{self._region}/s3/aws4_request"

    def _sign(self, canonical_request: str, stamp: str) -> str:
        day = stamp[:8]
        digest = hashlib.sha256(canonical_request.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{stamp}\n{self._scope(day)}\n{digest}"
        return hmac.digest(self._key_of(day), text.encode(), "sha256").hex()

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._secret_key}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key = day, key
        return self._key
