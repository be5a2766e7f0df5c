"""The address and credentials of one API server; `repr` shows no secret."""

import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from headrace.runtime.errors import ConfigurationError


@dataclass(frozen=True)
class Access:
    """``name`` is the cluster's name in errors; certificates and keys are PEM text."""

    name: str
    server: str
    namespace: str = "default"
    ca: str = ""
    client_certificate: str = ""
    client_key: str = field(default="", repr=False)
    insecure: bool = False
    tls_server_name: str = ""
    proxy_url: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    # The file is read for every request, because the kubelet replaces it.
    token_file: Path | None = None
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def headers(self) -> Mapping[str, str]:
        """Return the authentication headers. Like kubectl, send no credentials over an unencrypted connection."""
        if not self.server.startswith("https:"):
            return {}
        if self.token_file is not None:
            return {"Authorization": f"Bearer {read_text(self.token_file, 'token file').strip()}"}
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.username:
            return {"Authorization": aiohttp.encode_basic_auth(self.username, self.password)}
        return {}

    def tls(self) -> ssl.SSLContext | bool:
        """Return aiohttp's ``ssl`` argument; raises `ConfigurationError` if the certificates are invalid."""
        if not self.server.startswith("https:"):
            return True
        try:
            context = ssl.create_default_context(cadata=self.ca or None)
            if self.client_certificate:
                _load_client_certificate(context, self.client_certificate, self.client_key)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigurationError(
                f"cluster {self.name}: a certificate or key cannot be read: {error}"
            ) from None
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def read_text(path: Path, what: str) -> str:
    """Return the text of a file that a setting names."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"the {what} {path} cannot be read: {reason}") from None


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # Python's ssl module reads client certificates only from a file; mkstemp makes one that only this user can read.
    handle, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(f"{certificate}\n{key}\n")
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
