"""Where the parts of each kind of stack are, and how the last lines of a service's log are had."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headrace.run_file import read_run
from headrace_services.registry import BY_NAME
from tests.composed import composed, serving, variables

# As the documents have it; each may be given by option or variable instead.
SEED_URLS = {
    "ingress": "http://localhost:3000",
    "tracker": "http://localhost:8003",
    "archiver": "http://localhost:8004",
    "kruize": "http://localhost:8080",
    "ros_api": "http://localhost:8001",
    "sources": "http://localhost:8002",
    "aggregator": "http://localhost:8006",
    "s3": "http://minioaccesskey:miniosecretkey@localhost:9000",
    "kafka": "localhost:29092",
    "postgres": "postgresql://postgres:postgres@localhost:15432/postgres",
}
# Where the registry has another name for it.
ROWS = {"tracker": "payload_tracker", "sources": "sources_api", "aggregator": "results_aggregator"}
# Where each service says how it is.
HEALTH_PATHS = {
    name: BY_NAME[row].health_path for name in SEED_URLS if (row := ROWS.get(name, name)) in BY_NAME
}
# What compose and the manifests call the engines.
ENGINES = {"kafka": "kafka", "s3": "s3", "postgres": "db-ros"}
LOG_LINES = "30"
LOG_SECONDS = 30.0


@dataclass(frozen=True)
class Stack:
    """`urls` are its own, over the documents'; `log_command` shows the last lines of a row's or engine's log."""

    urls: Callable[[], dict[str, str]]
    log_command: Callable[[str], list[str]]


def local_urls() -> dict[str, str]:
    """Of the stack that runs on the directory."""
    state = read_run(Path(os.environ.get("HEADRACE_DIRECTORY", ".headrace"))) or {}
    services = state.get("services", {})
    rows = {name: ROWS.get(name, name) for name in SEED_URLS}
    found = {name: services[row]["url"] for name, row in rows.items() if row in services}
    return found | {row["name"]: row["url"] for row in state.get("engines", ())}


def compose_urls() -> dict[str, str]:
    """Of compose.yaml, with the ports and keys that the environment and .env name."""
    found = composed(variables())
    names = serving(found)

    def address(service: str) -> str:
        host, port, _ = found["services"][service]["ports"][0].rsplit(":", 2)
        return f"{'localhost' if host in {'127.0.0.1', '0.0.0.0'} else host}:{port}"  # noqa: S104 -- not bound here

    rows = {name: names[ROWS.get(name, name)] for name in SEED_URLS if ROWS.get(name, name) in names}
    keys = found["services"]["s3"]["environment"]
    key, secret = keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]
    password = found["services"]["db-ros"]["environment"]["POSTGRES_PASSWORD"]
    return {name: f"http://{address(service)}" for name, service in rows.items()} | {
        "s3": f"http://{key}:{secret}@{address('s3')}",
        "kafka": address("kafka"),
        "postgres": f"postgresql://postgres:{password}@{address('db-ros')}/postgres",
    }


def local_log(part: str) -> list[str]:
    return [sys.executable, "-m", "headrace_services", "logs", "--tail", LOG_LINES, part]


def compose_log(part: str) -> list[str]:
    found = composed(variables())
    name = ENGINES.get(part) or serving(found)[part]
    engine = os.environ.get("CONTAINER_ENGINE", "podman")
    return [engine, "logs", "--tail", LOG_LINES, found["services"][name]["container_name"]]


def kubernetes_log(part: str) -> list[str]:
    """KUBECTL may hold options too, such as a namespace."""
    kubectl = shlex.split(os.environ.get("KUBECTL", "kubectl"))
    return [*kubectl, "logs", "--tail", LOG_LINES, f"deployment/{part.replace('_', '-')}"]


STACKS = {
    "local": Stack(local_urls, local_log),
    "compose": Stack(compose_urls, compose_log),
    # Its services are on the documents' ports by `kubectl port-forward`, or where options say.
    "kubernetes": Stack(dict, kubernetes_log),
    "urls": Stack(dict, lambda part: ["echo", f"where the log of {part} is, nobody said"]),
}


def last_lines(stack: Stack, part: str) -> str:
    """Of the log of a registry's row or an engine."""
    assert part in ENGINES or part in BY_NAME, part
    try:
        done = subprocess.run(
            stack.log_command(part), capture_output=True, text=True, timeout=LOG_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"its log cannot be shown: {error}"
    return (done.stdout + done.stderr).rstrip()
