"""The far ends of the segment bridge, simulated together: Splunk with audit records, Kubernetes, Segment.

Either all of them or none: what a person's own Splunk says never meets simulated users, and simulated events never
reach a person's own Segment.
"""

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from headrace.local.certificate import self_signed
from headrace.local.ports import check_free
from headrace.local.simulators.kubernetes import KubernetesSimulator
from headrace.local.simulators.segment import SegmentSimulator
from headrace.local.simulators.splunk import SplunkSimulator
from headrace.samples.app_studio import GROUP, tenant_namespaces, user_signups
from headrace.samples.audit import AuditOptions, write_audit_log

# A person who sets one of these means ends of their own.
VARIABLES: Final = (
    "SPLUNK_API_URL", "SEGMENT_BATCH_API", "CURL_NETRC", "KUBECONFIG_SRC", "UID_MAP_FILE", "WS_MAP_FILE",
)  # fmt: skip
SSO_ID: Final = f"{GROUP}/sso-user-id"
SPACE: Final = f"{GROUP}/space"
DIRECTORY: Final = "simulators"
# For scripts to read: `export NAME=value` lines.
ENVIRONMENT_FILE: Final = "environment.sh"
USERS: Final = 12
RECORDS: Final = 2500
INDEX: Final = "federated:rh_rhtap_stage_audit"


@dataclass(frozen=True)
class ChainPorts:
    """Where they listen; Splunk's is the document's."""

    splunk: int = 8089
    kubernetes: int = 8092
    segment: int = 8091

    @classmethod
    def at(cls, base: int | None) -> "ChainPorts":
        """Base + 6 to base + 8."""
        return cls() if base is None else cls(base + 6, base + 7, base + 8)


@dataclass(frozen=True)
class Chain:
    """The three, and the environment that leads a bridge to them."""

    splunk: SplunkSimulator
    kubernetes: KubernetesSimulator
    segment: SegmentSimulator
    environment: Mapping[str, str]

    def urls(self) -> dict[str, str]:
        """By name."""
        return {
            "splunk simulator": self.splunk.url,
            "kubernetes simulator": self.kubernetes.url,
            "segment simulator": self.segment.url,
        }


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether nobody named ends of their own."""
    return not any(environment.get(name) for name in VARIABLES)


@asynccontextmanager
async def simulated_chain(
    directory: Path, ports: ChainPorts, *, users: int = USERS, count: int = RECORDS, seed: int = 1
) -> AsyncIterator[Chain]:
    """All three answer inside; netrc, kubeconfig and the records are files in the directory."""
    # Other records with each start, as on a cluster, or a ledger that stayed would know them all.
    now = datetime.now(UTC)
    options = AuditOptions(records=count, users=users, seed=int(now.timestamp()), now=now)
    directory, records, netrc, kubeconfig = _files(directory, options)
    for what, port in vars(ports).items():
        if port:
            check_free(port, f"the simulator of {what.capitalize()}")
    certificate = await asyncio.to_thread(self_signed, directory / "splunk.pem")
    async with AsyncExitStack() as stack:
        splunk = await stack.enter_async_context(_splunk(ports.splunk, certificate))
        kubernetes = await stack.enter_async_context(KubernetesSimulator(port=ports.kubernetes))
        segment = await stack.enter_async_context(SegmentSimulator(ports.segment))
        splunk.index(INDEX, records)
        for cluster in kubernetes.clusters.values():
            cluster.fill(user_signups=user_signups(users, seed=seed), namespaces=tenant_namespaces(users))
        splunk.write_netrc(netrc)
        segment.write_netrc(netrc)
        environment = {
            "SPLUNK_API_URL": splunk.url,
            "SPLUNK_INDEX": INDEX,
            "SEGMENT_BATCH_API": segment.batch_url,
            "CURL_NETRC": str(netrc),
            "KUBECONFIG_SRC": str(kubernetes.write_kubeconfig(kubeconfig)),
            **({"SPLUNK_CA_FILE": str(certificate)} if certificate else {}),
        }
        shown = directory / ENVIRONMENT_FILE
        _write_environment(shown, environment | _write_maps(directory, users=users, seed=seed))
        try:
            yield Chain(splunk, kubernetes, segment, environment)
        finally:
            shown.unlink(missing_ok=True)


def _splunk(port: int, certificate: Path | None) -> SplunkSimulator:
    """Its password is the one that the document's container takes from its environment, if any."""
    return SplunkSimulator(port, password=os.environ.get("SPLUNK_PASSWORD", ""), certificate=certificate)


def _write_maps(directory: Path, *, users: int, seed: int) -> dict[str, str]:
    """The maps as the jobs of the document write them, for stages that take files."""
    ids = {
        item["status"]["compliantUsername"]: item["metadata"]["annotations"][SSO_ID]
        for item in user_signups(users, seed=seed)
    }
    workspaces = {
        item["metadata"]["name"]: item["metadata"]["labels"][SPACE]
        for item in tenant_namespaces(users)
        if SPACE in item["metadata"]["labels"]
    }
    files = {"UID_MAP_FILE": directory / "uid-map.json", "WS_MAP_FILE": directory / "ws-map.json"}
    for file, entries in zip(files.values(), (ids, workspaces), strict=True):
        file.write_bytes(orjson.dumps(entries))
    return {name: str(file) for name, file in files.items()}


def _write_environment(file: Path, environment: Mapping[str, str]) -> None:
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()))


def _files(directory: Path, options: AuditOptions) -> tuple[Path, Path, Path, Path]:
    """The directory, the records in it, and where netrc and kubeconfig go."""
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    netrc = directory / "netrc"
    netrc.unlink(missing_ok=True)
    return directory, write_audit_log(directory / "audit.jsonl", options), netrc, directory / "kubeconfig"
