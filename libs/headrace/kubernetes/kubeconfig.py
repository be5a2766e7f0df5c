"""Kubeconfig files and the service account of a pod, read like kubectl."""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

from headrace.kubernetes.access import Access, read_text
from headrace.runtime.errors import ConfigurationError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# Keys of a user entry that would run a program or need rights that Headrace does not use.
_REFUSED: Final = {
    "exec": "credential plugins (exec) are not run; use a token or a client certificate instead",
    "auth-provider": "auth-provider is not supported; use a token or a client certificate instead",
    "as": "impersonation is not supported",
}


@dataclass(frozen=True)
class Kubeconfig:
    """The clusters, users and contexts of one file, or of several joined with ``:`` (the first that names one wins)."""

    source: str
    clusters: Mapping[str, Mapping[str, Any]]
    users: Mapping[str, Mapping[str, Any]]
    contexts: Mapping[str, Mapping[str, Any]]
    current_context: str

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Load files; raises `ConfigurationError` for a file that is missing or not a kubeconfig."""
        files = [Path(name).expanduser() for name in str(path).split(os.pathsep) if name]
        if len(files) > 1:
            # Like kubectl, ignore missing files in a list, but not a single missing file.
            files = [file for file in files if file.exists()] or files[:1]
        parts: dict[str, dict[str, Mapping[str, Any]]] = {"cluster": {}, "user": {}, "context": {}}
        current = ""
        for file in files:
            document = _document(file)
            for kind, found in parts.items():
                for name, entry in _named(file, document, kind):
                    found.setdefault(name, entry | {"_directory": file.parent})
            current = current or str(document.get("current-context") or "")
        return cls(str(path), parts["cluster"], parts["user"], parts["context"], current)

    def access(self, context: str | None = None) -> Access:
        """Return the cluster and user of a context, by default of the current one."""
        name = context or self.current_context
        if not name:
            raise ConfigurationError(f"{self.source}: current-context is not set and no context was named")
        entry = self._find("context", self.contexts, name)
        cluster = self._find("cluster", self.clusters, str(entry.get("cluster") or ""))
        user = self._find("user", self.users, entry["user"]) if entry.get("user") else {}
        for key, reason in _REFUSED.items():
            if user.get(key):
                raise ConfigurationError(f"{self.source}: user {entry['user']!r}: {reason}")
        server = str(cluster.get("server") or "")
        if not server.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"{self.source}: cluster {entry['cluster']!r} has the server {server!r}; expected an http(s) URL"
            )
        token_file = user.get("tokenFile")
        return Access(
            name=name,
            server=server.rstrip("/"),
            namespace=str(entry.get("namespace") or "default"),
            ca=self._pem(cluster, "certificate-authority"),
            client_certificate=self._pem(user, "client-certificate"),
            client_key=self._pem(user, "client-key"),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            tls_server_name=str(cluster.get("tls-server-name") or ""),
            proxy_url=str(cluster.get("proxy-url") or ""),
            token=str(user.get("token") or ""),
            token_file=Path(user["_directory"], str(token_file)) if token_file else None,
            username=str(user.get("username") or ""),
            password=str(user.get("password") or ""),
        )

    def _find(self, kind: str, entries: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
        if name not in entries:
            known = ", ".join(entries) or "none"
            raise ConfigurationError(
                f"{self.source}: {kind} {name!r} does not exist; expected one of: {known}"
            )
        return entries[name]

    def _pem(self, entry: Mapping[str, Any], key: str) -> str:
        """Return the text under ``<key>-data`` (base64), else that of the file under ``<key>``."""
        if data := entry.get(f"{key}-data"):
            try:
                return base64.b64decode(str(data), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise ConfigurationError(f"{self.source}: {key}-data is not base64-encoded PEM") from None
        if name := entry.get(key):
            return read_text(Path(entry["_directory"], str(name)), key)
        return ""


def contexts(path: Path | str) -> list[str]:
    """The names of the contexts, in the file's order."""
    return list(Kubeconfig.load(path).contexts)


def default_kubeconfig() -> str | None:
    """Return the kubeconfig that kubectl would read: ``$KUBECONFIG``, else ``~/.kube/config`` if it exists."""
    if named := os.environ.get("KUBECONFIG"):
        return named
    home = Path("~/.kube/config").expanduser()
    return str(home) if home.exists() else None


def service_account(directory: Path = SERVICE_ACCOUNT) -> Access | None:
    """Return the access of a pod to its own cluster, None outside of a pod."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (directory / "token").exists():
        return None
    namespace = directory / "namespace"
    return Access(
        name="in-cluster",
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=read_text(namespace, "namespace file").strip() if namespace.exists() else "default",
        ca=read_text(directory / "ca.crt", "CA certificate"),
        token_file=directory / "token",
    )


def _document(file: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(read_text(file, "kubeconfig"))
    except yaml.YAMLError:
        # The parser's message quotes the lines, which may contain tokens.
        raise ConfigurationError(f"the kubeconfig {file} is not YAML") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"the kubeconfig {file} is not a mapping")
    return document


def _named(file: Path, document: Mapping[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    entries = document.get(f"{kind}s") or []
    try:
        return [(str(entry["name"]), dict(entry.get(kind) or {})) for entry in entries]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise ConfigurationError(
            f"the kubeconfig {file} has a {kind}s list with an entry that lacks a name or a {kind}"
        ) from None
