"""The far ends of the segment bridge, simulated together: Splunk with audit records, Kubernetes, Segment.

Either all of them or none: what a person's own Splunk says never meets simulated users, and simulated events never
reach a person's own Segment.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from headrace.local.ports import check_free
from headrace.local.simulators.kubernetes import KubernetesSimulator
from headrace.local.simulators.segment import SegmentSimulator
from headrace.local.simulators.splunk import SplunkSimulator
from headrace.samples.app_studio import tenant_namespaces, user_signups
from headrace.samples.app_studio_audit import journeys

# A person who sets one of these means ends of their own.
VARIABLES: Final = (
    "SPLUNK_API_URL", "SEGMENT_BATCH_API", "CURL_NETRC", "KUBECONFIG_SRC", "UID_MAP_FILE", "WS_MAP_FILE",
)  # fmt: skip
USERS: Final = 12
JOURNEYS: Final = 60
INDEX: Final = "federated:rh_rhtap_stage_audit"


@dataclass(frozen=True)
class ChainPorts:
    """Where they listen; Splunk's is the document's."""

    splunk: int = 8089
    kubernetes: int = 8090
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
    directory: Path, ports: ChainPorts, *, users: int = USERS, count: int = JOURNEYS, seed: int = 1
) -> AsyncIterator[Chain]:
    """All three answer inside; netrc, kubeconfig and the records are files in the directory."""
    records, netrc, kubeconfig = _files(directory, users=users, count=count, seed=seed)
    for what, port in vars(ports).items():
        if port:
            check_free(port, f"the simulator of {what.capitalize()}")
    async with AsyncExitStack() as stack:
        splunk = await stack.enter_async_context(SplunkSimulator(ports.splunk))
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
        }
        yield Chain(splunk, kubernetes, segment, environment)


def _files(directory: Path, *, users: int, count: int, seed: int) -> tuple[Path, Path, Path]:
    """The records, and where netrc and kubeconfig go."""
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    records, netrc = directory / "audit.jsonl", directory / "netrc"
    netrc.unlink(missing_ok=True)
    with records.open("wb") as opened:
        for record in journeys(count, users=users, now=datetime.now(UTC), seed=seed):
            opened.write(orjson.dumps(record) + b"\n")
    return records, netrc, directory / "kubeconfig"
