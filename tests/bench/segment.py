"""The segment bridge: rows to events on one core, and the whole chain beside jq and curl doing it.

The far ends are simulators in a process of their own, so that their work is not counted. Each round is a process too.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random

import orjson
import uvloop

from tests.bench.memory import peak_mib
from tests.bench.report import Figure, of_rounds

TITLE = "Segment bridge"
TEXT = (
    "Rows of about 590 bytes as Splunk exports them, from NDJSON bytes to event bytes on one core; CPU seconds count, "
    "user and system. The chain: the rows come by HTTP, are transformed, and go to Segment's batch call in batches, "
    "in one process as the service does it, its start apart. Beside it curl, jq, split, jq and curl in a pipe, as the "
    "document's scripts have it. The ends are simulators in a process of their own, whose work is not counted."
)
ROUNDS = 3
ROWS = 100_000
MANY_TIMES = 50
USERS = 1000
_PIECE_BYTES = 1 << 16

_TRANSFORM = r"""
def verbs: {create: "created", update: "updated", delete: "deleted", patch: "patched"};
def subjects: {applications: "Application", components: "Component", pipelineruns: "PipelineRun"};
select(.result) | .result
| $workspaces[0][.namespace] as $ws | select($ws)
| $ids[0][$ws] as $wsid | select($wsid)
| $ids[0][.userId // $ws] as $uid | select($uid)
| {messageId, timestamp, namespace, type, userId: $uid,
   event: (.event // ((subjects[.event_subject] // .event_subject) + " " + (verbs[.event_verb] // .event_verb))),
   properties: ((.properties | fromjson) + {workspaceID: $wsid}), context: (.context | fromjson)}
"""
_PIPE = r"""
set -euo pipefail
for query in 1 2 3 4 5 6 7 8; do
  curl -sS --fail --retry 3 --netrc-file "$CURL_NETRC" -d output_mode=json -d earliest_time=-4hours \
    -d latest_time=-0hours --data-urlencode "search=search index=\"bench\"" \
    "$SPLUNK_API_URL/servicesNS/nobody/rh_rhtap/search/v2/jobs/export"
done | jq -c --slurpfile ids "$UID_MAP_FILE" --slurpfile workspaces "$WS_MAP_FILE" "$TRANSFORM" \
  | split --line-bytes=490000 --filter='jq -c -s "{batch: .}" \
      | curl -sS --fail --retry 3 --netrc-file "$CURL_NETRC" -H "Content-Type: application/json" \
        --data-binary @- -o /dev/null "$SEGMENT_BATCH_API"'
"""


async def measure() -> list[Figure]:
    """Rates, CPU a record, memory."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_rows(directory / "rows.ndjson")
        rounds = [await _child("transform", directory) for _ in range(ROUNDS)]
        many = await _child("many", directory)
        async with _ends(directory) as environment:
            chain, ledger, plain = [], [], []
            # In turn, so that a busy machine is busy for each.
            for _ in range(ROUNDS):
                chain.append(await _child("chain", directory, environment))
                ledger.append(await _child("ledger", directory, environment))
                if shutil.which("jq"):
                    plain.append(await _jq_and_curl(environment))
    figures = [
        of_rounds("rows to events, one core", [one["rate"] for one in rounds], "records/s", bar=">= 100000"),
        Figure(f"memory, {ROWS * MANY_TIMES} records", f"{many['peak_mib']:.0f} MiB", bar="< 100"),
        of_rounds("chain, CPU", [one["cpu"] for one in chain], "µs a record", digits=1),
        of_rounds("chain with a ledger, CPU", [one["cpu"] for one in ledger], "µs a record", digits=1),
        Figure("memory of the chain", f"{max(one['peak_mib'] for one in chain):.0f} MiB"),
    ]
    if not plain:
        return [*figures, Figure("jq and curl", "no jq on PATH")]
    ratios = [theirs / ours["cpu"] for theirs, ours in zip(plain, chain, strict=True)]
    return [
        *figures,
        of_rounds("jq and curl, CPU", plain, "µs a record", digits=1),
        of_rounds("CPU of jq and curl beside the chain's", ratios, "times", digits=1, bar=">= 10"),
    ]


def write_rows(path: Path) -> None:
    """Rows of every kind that has a user, and the maps beside them."""
    chooser = Random(1)
    with path.open("wb") as opened:
        for row in _rows(chooser):
            opened.write(orjson.dumps(row) + b"\n")
    ids = {f"user{number}": str(10_000_000 + number) for number in range(USERS)}
    path.with_name("ids.json").write_bytes(orjson.dumps(ids))
    path.with_name("workspaces.json").write_bytes(orjson.dumps({f"{name}-tenant": name for name in ids}))


def _rows(chooser: Random) -> Iterator[dict[str, object]]:
    for number in range(ROWS):
        user, part = f"user{chooser.randrange(USERS)}", f"part-{chooser.randrange(977)}"
        properties = {
            "apiGroup": "appstudio.redhat.com", "apiVersion": "v1alpha1", "kind": "components", "name": part,
            "application": f"app-{number % 97}", "component": part,
            "src_url": f"https://github.com/{user}/{part}", "src_revision": None,
        }  # fmt: skip
        agent = f"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/{100 + number % 20}.0"
        yield {
            "preview": False,
            "offset": number,
            **({"lastrow": True} if number == ROWS - 1 else {}),
            "result": {
                "context": json.dumps({"userAgent": agent}),
                "event_subject": "components",
                "event_verb": chooser.choice(["create", "update", "delete", "configure-pac"]),
                "messageId": str(uuid.UUID(int=chooser.getrandbits(128))),
                "namespace": f"{user}-tenant",
                "properties": json.dumps(properties, separators=(",", ":")),
                "timestamp": "2026-11-27T20:00:00.123456Z",
                "type": "track",
                "userId": user,
            },
        }


class _ends:  # noqa: N801 -- a context
    """The simulators' process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def __aenter__(self) -> dict[str, str]:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.segment", "ends", str(self._directory),
            stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.PIPE,
        )  # fmt: skip
        found = json.loads(await self._process.stdout.readline())
        maps = {"UID_MAP_FILE": "ids.json", "WS_MAP_FILE": "workspaces.json"}
        return found | {name: str(self._directory / file) for name, file in maps.items()}

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        await self._process.wait()


async def _serve_ends(directory: Path) -> None:
    from headrace.local.simulators.segment import SegmentSimulator
    from headrace.local.simulators.splunk import SplunkSimulator

    none = b'{"preview":false,"lastrow":true}\n'
    asked = 0

    def canned(_search: str) -> Iterator[bytes]:
        nonlocal asked
        asked += 1
        # The first of eight queries finds everything.
        return iter([none]) if asked % 8 != 1 else _pieces(directory / "rows.ndjson")

    async with SplunkSimulator() as splunk, SegmentSimulator() as segment:
        splunk.canned = canned
        netrc = splunk.write_netrc(directory / "netrc")
        segment.write_netrc(netrc)
        print(
            json.dumps(
                {
                    "SPLUNK_API_URL": splunk.url,
                    "SEGMENT_BATCH_API": segment.batch_url,
                    "CURL_NETRC": str(netrc),
                }
            ),
            flush=True,
        )
        await asyncio.Event().wait()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece


async def _child(what: str, directory: Path, environment: dict[str, str] | None = None) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.segment", what, str(directory),
        env=os.environ | (environment or {}), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{what} ended with {process.returncode}")
    return json.loads(output)


async def _jq_and_curl(environment: dict[str, str]) -> float:
    """CPU microseconds a record of every process of the pipe."""

    def run() -> float:
        pid = os.posix_spawnp(
            "bash", ["bash", "-c", _PIPE], os.environ | environment | {"TRANSFORM": _TRANSFORM}
        )
        _, status, usage = os.wait4(pid, 0)
        if status:
            raise RuntimeError(f"jq and curl ended with {os.waitstatus_to_exitcode(status)}")
        return (usage.ru_utime + usage.ru_stime) / ROWS * 1e6

    return await asyncio.to_thread(run)


def _transform(directory: Path, times: int) -> float:
    from headrace_services.segment_bridge.map_files import read_maps
    from headrace_services.segment_bridge.streams import line_blocks
    from headrace_services.segment_bridge.transform import Transform

    maps = read_maps(str(directory / "ids.json"), str(directory / "workspaces.json"), numeric=False)
    work = Transform(maps.ids, maps.workspaces)
    began = time.process_time()
    with Path(os.devnull).open("wb") as output:
        for _ in range(times):
            with (directory / "rows.ndjson").open("rb") as opened:
                output.writelines(
                    b"\n".join([body for _, _, body in work.events(block)]) + b"\n"
                    for block in line_blocks(opened)
                )
    if work.made != ROWS * times:
        raise RuntimeError(f"{work.made} events of {ROWS * times} rows: {work.dropped}")
    return work.made / (time.process_time() - began)


async def _chain(directory: Path, *, ledger: bool) -> float:
    from headrace_services.segment_bridge import stages

    options = stages.UploadOptions(ledger=directory / f"ledger-{os.getpid()}" if ledger else None)
    began = time.process_time()
    if await stages.run(options):
        raise RuntimeError("the chain failed")
    return (time.process_time() - began) / ROWS * 1e6


def _main(what: str, directory: Path) -> None:
    if what == "ends":
        uvloop.run(_serve_ends(directory))
        return
    found: dict[str, float] = {}
    if what in {"transform", "many"}:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        found["rate"] = _transform(directory, MANY_TIMES if what == "many" else 1)
    else:
        found["cpu"] = uvloop.run(_chain(directory, ledger=what == "ledger"))
    found["peak_mib"] = peak_mib()
    print(json.dumps(found))


async def _report() -> None:
    for row in await measure():
        print(f"{row.name:40} {row.value:>20}  {row.spread:20} {row.bar}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        asyncio.run(_report())
    else:
        _main(sys.argv[1], Path(sys.argv[2]))
