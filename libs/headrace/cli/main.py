"""The `headrace` command. It is given the services' table, because this library imports no service.

Each command imports what it needs, so that short commands start fast.
"""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from headrace.cli.failures import reported
from headrace.cli.panels import OPERATE, Panelled
from headrace.runtime.logging import configure

if TYPE_CHECKING:
    from headrace.service.row import Service

DIRECTORY: Final = Path(".headrace")


Directory = Annotated[
    Path,
    typer.Option(envvar="HEADRACE_DIRECTORY", help="Directory for the local stack's data.", file_okay=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Names = Annotated[list[str] | None, typer.Argument(help="Services; default: all.", metavar="NAME")]

app = typer.Typer(
    cls=Panelled,
    help="The ingress-to-pipeline flow of console.redhat.com, self-hosted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def run(services: "Sequence[Service]") -> None:
    """Run the command line."""
    with reported():
        app(obj=tuple(services))


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"headrace {version('headrace')}")
        raise typer.Exit


@app.callback()
def _main(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    if not gc.isenabled():
        # What was imported to get here lives as long as the process: no collection need walk it.
        gc.freeze()
        gc.enable()
    # What a client library has to say is not what was asked for; the running commands set their own.
    configure("WARNING", "text")


@app.command(rich_help_panel=OPERATE)
def serve(
    ctx: typer.Context,
    names: Names = None,
    wait: Annotated[
        float | None,
        typer.Option(
            help="First create what the services need (like init), retrying for this many seconds.",
            min=0,
            metavar="SECONDS",
        ),
    ] = None,
) -> None:
    """Run services in this process; HEADRACE_KAFKA, HEADRACE_S3 and HEADRACE_POSTGRES name the engines."""
    from headrace.cli import lifetime, serving

    lifetime.run(serving.serve(serving.chosen(ctx.obj, names or ()), wait_seconds=wait))


@app.command(rich_help_panel=OPERATE)
def init(
    ctx: typer.Context,
    names: Names = None,
    wait: Annotated[
        float,
        typer.Option(help="Retry for this many seconds while engines are away.", min=0, metavar="SECONDS"),
    ] = 0.0,
) -> None:
    """Create the topics, buckets and databases that services need."""
    from headrace.cli import lifetime, serving

    lifetime.run(serving.initialise_services(serving.chosen(ctx.obj, names or ()), wait_seconds=wait))


@app.command(rich_help_panel=OPERATE)
def services(ctx: typer.Context) -> None:
    """List the services."""
    from headrace.cli import serving

    serving.show_services(ctx.obj)


letters = typer.Typer(help="List, show and redrive dead letters.", no_args_is_help=True)
app.add_typer(letters, name="dead-letters", rich_help_panel=OPERATE)


@letters.command("list")
def list_dead_letters(
    ctx: typer.Context,
    topic: Annotated[str | None, typer.Argument(help="Topic; default: all.")] = None,
    directory: Directory = DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """List dead letters, oldest first."""
    from headrace.cli import dead_letters, lifetime

    lifetime.run(
        dead_letters.show_all(dead_letters.engines(directory, "kafka"), ctx.obj, topic, as_json=as_json)
    )


@letters.command("show")
def show_dead_letter(
    topic: Annotated[str, typer.Argument(help="Topic that it came from.")],
    partition: Annotated[int, typer.Argument(help="Partition, as `dead-letters list` shows it.")],
    offset: Annotated[int, typer.Argument(help="Offset, as `dead-letters list` shows it.")],
    directory: Directory = DIRECTORY,
) -> None:
    """Show one complete dead letter."""
    from headrace.cli import dead_letters, lifetime

    lifetime.run(dead_letters.show_one(dead_letters.engines(directory, "kafka"), topic, partition, offset))


@letters.command("redrive")
def redrive_dead_letters(
    ctx: typer.Context,
    topic: Annotated[str | None, typer.Argument(help="Topic; default: all.")] = None,
    limit: Annotated[int | None, typer.Option(help="Redrive at most this many.", min=1)] = None,
    directory: Directory = DIRECTORY,
) -> None:
    """Put dead letters back into their topic, each once."""
    from headrace.cli import dead_letters, lifetime

    lifetime.run(dead_letters.put_back(dead_letters.engines(directory, "kafka"), ctx.obj, topic, limit))


clusters = typer.Typer(help="List and change the owners of clusters.", no_args_is_help=True)
app.add_typer(clusters, name="clusters", rich_help_panel=OPERATE)


@clusters.command("list")
def list_clusters(
    ctx: typer.Context,
    cluster: Annotated[str | None, typer.Argument(help="Cluster; default: all.")] = None,
    directory: Directory = DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """List clusters with their owner in each service, and the organisations that were refused."""
    from headrace.cli import clusters as owned
    from headrace.cli import lifetime
    from headrace.cli.dead_letters import engines

    lifetime.run(owned.show(engines(directory, "postgres"), ctx.obj, cluster, as_json=as_json))


@clusters.command("move")
def move_cluster(
    ctx: typer.Context,
    cluster: Annotated[str, typer.Argument(help="Cluster; it need not have reported yet.")],
    to: Annotated[str, typer.Option(help="The new owner, an organisation.", metavar="ORG")],
    directory: Directory = DIRECTORY,
) -> None:
    """Give a cluster to an organisation: its reports move along, what users wrote about it does not."""
    from headrace.cli import clusters as owned
    from headrace.cli import lifetime
    from headrace.cli.dead_letters import engines

    lifetime.run(owned.move(engines(directory, "postgres"), ctx.obj, cluster, to))
