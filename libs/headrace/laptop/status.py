"""`urls`, `status`: the state that the stack of a directory published."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from headrace.cli.output import Output, fail
from headrace.laptop.pages import console_of
from headrace.run_file import Run, running_stack, service_url

_HEALTH_SECONDS: Final = 5.0
_STARTING: Final = "starting"
_WELL: Final = frozenset({"ready", "given", "well"})


@dataclass(frozen=True)
class PartStatus:
    """One line of `headrace status`."""

    part: str
    state: str
    detail: str = ""

    @property
    def is_well(self) -> bool:
        """Whether the part needs no attention."""
        return self.state in _WELL


def urls(run: Run) -> dict[str, Any]:
    """Return engines by name (url, address, credentials, product, version), services (url, health) and the rest."""
    fields = ("url", "address", "credentials", "product", "version")
    engines = {row["name"]: {name: row[name] for name in fields} for row in run["engines"]}
    rest = {name: run.get(name, {}) for name in ("services", "admin", "simulators")}
    return {"engines": engines} | rest


def part_rows(run: Run) -> list[tuple[str, str, str, str]]:
    """Return part, product, URL and credentials as rows of a table."""
    known = urls(run)
    engines = [
        (
            name,
            " ".join(part for part in (row["product"], _short(row["version"])) if part),
            row["address"],
            " / ".join(row["credentials"].values()),
        )
        for name, row in known["engines"].items()
    ]
    services = [(name, "service", row["url"], "") for name, row in known["services"].items()]
    others = [(name, "admin", url, "") for name, url in known["admin"].items()]
    others += [(name, "stands in for it", url, "") for name, url in known["simulators"].items()]
    return [*engines, *services, *others]


def show_urls(directory: Path, *, as_json: bool) -> None:
    """Print every part's URL and credentials."""
    run = running_stack(directory)
    if as_json:
        print(orjson.dumps(urls(run), option=orjson.OPT_INDENT_2).decode())
    else:
        Output().table(("part", "what", "url", "credentials"), part_rows(run))


def show_url(directory: Path, part: str) -> None:
    """Print the URL of one part; raises ConfigurationError if the stack has none of that name, or starts."""
    engines = urls(running_stack(directory))["engines"]
    print(engines[part]["url"] if part in engines else service_url(directory, part.replace("-", "_")))


async def show_status(directory: Path, *, as_json: bool) -> None:
    """Print the state of every part; exit code 1 if one is unhealthy or still starting."""
    parts = await statuses(running_stack(directory))
    if as_json:
        rows = [{"part": item.part, "state": item.state, "detail": item.detail} for item in parts]
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    else:
        output = Output()
        output.table(("part", "state", "detail"), [(item.part, item.state, item.detail) for item in parts])
        if console := console_of(directory):
            output.line(f"{console}/ shows the flow")
    ill = [item for item in parts if not item.is_well]
    if ailing := [item for item in ill if item.state != _STARTING]:
        fail(f"unhealthy: {', '.join(item.part for item in ailing)}")
    if ill:
        fail(f"still starting: {', '.join(item.part for item in ill)}")


async def statuses(run: Run) -> list[PartStatus]:
    """Return the state of every part, engines first."""
    engines = [PartStatus(row["name"], row["state"], _detail(row)) for row in run["engines"]]
    if "admin" not in run:
        return [*engines, PartStatus("services", _STARTING)]
    if seconds := run.get("loop_stalled_seconds"):
        reason = (
            f"the event loop is blocked, for {seconds:.0f} s when last checked; its log contains the stacks"
        )
        return [*engines, PartStatus("services", "stalled", reason)]
    found = await _services(run["admin"]["health"])
    told = {part.part for part in found}
    return [part for part in engines if part.part not in told] + found


def _detail(row: Run) -> str:
    restarts = f"restarted {row['restarts']} times" if row["restarts"] else ""
    return "; ".join(words for words in (row.get("reason"), restarts) if words)


async def _services(health_url: str) -> list[PartStatus]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=_HEALTH_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(health_url) as response:
            answer = orjson.loads(await response.read())
            report = answer["services"]
    except (TimeoutError, aiohttp.ClientError, ValueError, KeyError) as error:
        reason = f"{health_url} does not answer: {str(error) or type(error).__name__}"
        return [PartStatus("services", "failed", reason)]
    # What the file says of engines may be old, where a full disk keeps it from being written.
    ill = {name: reason for name, reason in report.pop("engines", {}).items() if reason is not None}
    now = [PartStatus(name, *reason.split(": ", 1)) for name, reason in ill.items()]
    starting = answer.get("starting", ())
    return [*now, *(_service(name, checks, name in starting) for name, checks in report.items())]


def _service(name: str, checks: Mapping[str, str | None], is_starting: bool) -> PartStatus:
    problems = [f"{check}: {reason}" for check, reason in checks.items() if reason is not None]
    state = _STARTING if is_starting else "failed"
    return PartStatus(name, state if problems else "well", "; ".join(problems))


def _short(version: str) -> str:
    # MinIO's, built from source, is a Go pseudo-version or a path.
    return version if len(version) <= 12 else ""
