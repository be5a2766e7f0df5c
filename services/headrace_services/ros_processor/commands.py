"""``headrace ros``: the commands of ros_processor."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

ros = typer.Typer(help="Aggregate resource-optimization usage files.", no_args_is_help=True)


@ros.callback()
def _main() -> None:
    # With a single command, typer would run it without its name.
    pass


@ros.command("aggregate")
def aggregate_usage(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="Usage CSV.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory to write to.", file_okay=False)],
) -> None:
    """Aggregate a usage CSV like ros_processor, and write the result to output.csv."""
    from headrace_services.ros_processor.offline import aggregate_file

    written, found = asyncio.run(aggregate_file(file, output))
    dropped = "; ".join(f"{count} dropped: {reason}" for reason, count in found.dropped.items())
    typer.echo(f"{written}: {found.kind}, {found.rows} rows{f'; {dropped}' if dropped else ''}")
