"""``headrace segment demo``: the whole flow from audit records to Segment, with simulators of all external systems."""

import os
import tempfile
from pathlib import Path

from headrace.cli.output import Output
from headrace.local.simulators.chain import VARIABLES, Chain, ChainPorts, simulated_chain
from headrace_services.segment_bridge import stages


async def run(records: int) -> int:
    """Run once and show the outcome; fails unless every event arrived."""
    output = Output()
    with tempfile.TemporaryDirectory(prefix="headrace-segment-") as name:
        directory = Path(name)
        async with simulated_chain(directory, ChainPorts(0, 0, 0), count=records) as chain:
            _point_at(chain)
            output.line(
                f"{records} audit records in a simulated Splunk, about a fifth of which match the queries"
            )
            options = stages.UploadOptions(directory / "dead-letters.jsonl", directory / "ledger.sqlite")
            code = await stages.run(options)
            _show(output, chain)
            output.line("second run: the ledger contains them")
            again = await stages.run(options)
    return code or again or int(not chain.segment.ids)


def _point_at(chain: Chain) -> None:
    """Set the environment of this process to the simulators, whatever it named before."""
    for name in VARIABLES:
        os.environ.pop(name, None)
    for name in ("QUERY_EARLIEST_TIME", "QUERY_LATEST_TIME", "CONTEXTS", "SEGMENT_HOST_CONTEXT"):
        os.environ.pop(name, None)
    os.environ.update(chain.environment)


def _show(output: Output, chain: Chain) -> None:
    names = sorted(chain.segment.names.items())
    output.table(("event at the simulated Segment", "count"), [*names, ("all", len(chain.segment.ids))])
