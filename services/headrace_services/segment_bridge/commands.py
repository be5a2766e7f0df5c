"""``headrace segment``: the document's scripts as stages for a pipe, and all stages in one process."""

from collections.abc import Coroutine
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer


class Kind(StrEnum):
    """The kind of a map."""

    uid = "uid"
    workspace = "workspace"


segment = typer.Typer(help="Send audit records of clusters to Segment.", no_args_is_help=True)

DeadLetters = Annotated[
    Path | None,
    typer.Option("--dead-letters", help="File for records that cannot be sent, with the reason."),
]
Ledger = Annotated[
    Path | None,
    typer.Option("--ledger", help="SQLite file that records sent events; they are not sent again."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do everything except the requests to Segment.")]


@segment.command("fetch")
def fetch_records() -> None:
    """Write Splunk's rows of the eight queries to stdout (fetch-uj-records.sh)."""
    from headrace_services.segment_bridge import stages

    _end(_run(stages.fetch()))


@segment.command("transform")
def transform_records(dead_letters: DeadLetters = None) -> None:
    """Turn rows on stdin into Segment's events on stdout (splunk-to-segment.sh)."""
    from headrace_services.segment_bridge import stages

    _end(stages.transform(dead_letters))


@segment.command("upload")
def upload_events(
    dead_letters: DeadLetters = None,
    ledger: Ledger = None,
    dry_run: DryRun = False,  # noqa: FBT002
) -> None:
    """Send events on stdin to Segment, in batches (segment-mass-uploader.sh, segment-uploader.sh)."""
    from headrace_services.segment_bridge import stages

    _end(_run(stages.upload(stages.UploadOptions(dead_letters, ledger, dry_run))))


@segment.command("payload")
def wrap_events() -> None:
    """Write events on stdin as the body of one batch request to stdout (mk-segment-batch-payload.sh)."""
    from headrace_services.segment_bridge import stages

    _end(stages.payload())


@segment.command("run")
def run_chain(
    once: Annotated[bool, typer.Option("--once", help="Run once, not periodically.")] = False,  # noqa: FBT002
    dead_letters: DeadLetters = None,
    ledger: Ledger = None,
    dry_run: DryRun = False,  # noqa: FBT002
) -> None:
    """Run all stages in one process: fetch, transform, upload."""
    if not once:
        raise typer.BadParameter(
            "`headrace serve segment_bridge` runs periodically; this command needs --once"
        )
    from headrace_services.segment_bridge import stages

    _end(_run(stages.run(stages.UploadOptions(dead_letters, ledger, dry_run))))


@segment.command("maps")
def write_map(
    kind: Annotated[Kind, typer.Argument(help="Kind of map: user ids, or the workspaces of namespaces.")],
    upload: Annotated[bool, typer.Option("--upload-to-splunk", help="Also write it to Splunk.")] = False,  # noqa: FBT002
) -> None:
    """Write a map from Kubernetes as one JSON object to stdout (get-uid-map.sh, get-workspace-map.sh)."""
    from headrace_services.segment_bridge import stages

    _end(_run(stages.write_map(workspaces=kind is Kind.workspace, upload=upload)))


@segment.command("audit")
def read_audit_logs(
    files: Annotated[list[Path], typer.Argument(help="Audit logs, one record per line, plain or gzip.")],
) -> None:
    """Write the rows that the eight queries find in audit logs to stdout: fetch without Splunk."""
    from headrace_services.segment_bridge import stages

    _end(_run(stages.read_audit_logs(files)))


def show_chain(
    records: Annotated[int, typer.Option(help="Audit records.", min=50)] = 2500,
) -> None:
    """Run all stages against simulators of Splunk, Kubernetes and Segment, and show the counts."""
    from headrace_services.segment_bridge import demo

    _end(_run(demo.run(records)))


# The image of the services does not contain the simulators.
if find_spec("headrace.local"):
    segment.command("demo")(show_chain)


@segment.command("letters")
def show_letters(
    file: Annotated[Path, typer.Argument(help="Dead-letter file.", dir_okay=False)],
    rows: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--rows", help="Print the rows that did not become events, as input for `transform`."),
    ] = False,
) -> None:
    """Write the events of a dead-letter file to stdout, as input for `upload`."""
    from headrace_services.segment_bridge import stages

    _end(stages.letters(file, rows=rows))


def _run(work: Coroutine[Any, Any, int]) -> int:
    from headrace.cli.lifetime import run

    return run(work)


def _end(code: int) -> None:
    raise typer.Exit(code)
