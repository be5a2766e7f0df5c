"""Network policies, derived from the variables that give services each other's URLs."""

from collections.abc import Sequence
from typing import Any, Final

from headrace.deployment.facts import Facts
from headrace.deployment.pods import ADMIN, HTTP, Manifest, dashed, labels
from headrace.service.declarations import variables_of
from headrace.service.row import Service

ACCESS_LABEL: Final = "headrace/access"
_MONITORING: Final = "monitoring"


def callers_of(row: Service, rows: Sequence[Service]) -> list[Service]:
    """Return the services that read one of the variables with this service's URL."""
    told = {variable for variable, _ in row.known_by}
    return [other for other in rows if other != row and told & variables_of(other)]


def policy(row: Service, facts: Facts, rows: Sequence[Service], engine_ports: Sequence[int]) -> Manifest:
    """Return the permitted connections of a service's pods."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": dashed(row), "labels": labels(row)},
        "spec": {
            "podSelector": {"matchLabels": labels(row)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": _incoming(row, facts, rows),
            "egress": _outgoing(row, rows, [*engine_ports, *facts.egress_ports]),
        },
    }


def engines_only(name: str, selector: dict[str, str], engine_ports: Sequence[int]) -> Manifest:
    """Return the policy of pods that no other pod connects to: they reach only name lookup and the engines."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": selector},
        "spec": {
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [_names(), {"ports": [_tcp(port) for port in engine_ports]}],
        },
    }


def _incoming(row: Service, facts: Facts, rows: Sequence[Service]) -> list[Manifest]:
    rules = [{"ports": [_tcp(ADMIN)], "from": [_from_namespaces(_MONITORING)]}]
    if row.port is None:
        return rules
    peers = [{"podSelector": {"matchLabels": labels(caller)}} for caller in callers_of(row, rows)]
    peers += [_from_namespaces(access) for access in facts.access]
    if peers:
        rules.append({"ports": [_tcp(HTTP)], "from": peers})
    return rules


def _outgoing(row: Service, rows: Sequence[Service], ports: Sequence[int]) -> list[Manifest]:
    rules = [_names(), {"ports": [_tcp(port) for port in ports]}]
    called = [other for other in rows if other.port and row in callers_of(other, rows)]
    rules += [
        {"ports": [_tcp(other.port)], "to": [{"podSelector": {"matchLabels": labels(other)}}]}
        for other in called
    ]
    return rules


def _names() -> Manifest:
    return {"ports": [{"protocol": "UDP", "port": 53}, _tcp(53)]}


def _from_namespaces(access: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {ACCESS_LABEL: access}}}


def _tcp(port: Any) -> Manifest:
    return {"protocol": "TCP", "port": port}
