"""The `headrace` command. Given the services' table, for this library imports no service.

Each command imports what it needs, so that the short ones answer at once.
"""

import gc
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from headrace.cli.output import fail
from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.runtime.errors import HeadraceError
from headrace.runtime.logging import configure

if TYPE_CHECKING:
    from headrace.service.row import Service

DIRECTORY: Final = Path(".headrace")


class S3Choice(StrEnum):
    """The S3 servers of the local shape."""

    minio = "minio"
    seaweedfs = "seaweedfs"


Directory = Annotated[
    Path,
    typer.Option(envvar="HEADRACE_DIRECTORY", help="Where the local stack keeps its data.", file_okay=False),
]
PortBase = Annotated[
    int | None, typer.Option(help="Move every port: N to N+97 and, for SeaweedFS, N+10097.", metavar="N")
]
S3 = Annotated[S3Choice | None, typer.Option(help="The S3 server; the data directory keeps to its first.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Names = Annotated[
    list[str] | None, typer.Argument(help="Services; all when none is named.", metavar="[NAME]…")
]
Url = Annotated[
    str | None, typer.Option(help="Its URL; by default that of the running local stack.", metavar="URL")
]

app = typer.Typer(
    help="The ingress-to-pipeline flow of console.redhat.com, self-hosted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def run(services: "Sequence[Service]") -> None:
    """Run the command line."""
    try:
        app(obj=tuple(services))
    except HeadraceError as error:
        fail(str(error))
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        raise SystemExit(1) from None


@app.callback()
def _main() -> None:
    if not gc.isenabled():
        # What was imported to get here lives as long as the process: no collection need walk it.
        gc.freeze()
        gc.enable()
    # What a client library has to say is not what was asked for; the running commands set their own.
    configure("WARNING", "text")


@app.command()
def up(
    ctx: typer.Context,
    directory: Directory = DIRECTORY,
    port_base: PortBase = None,
    s3: S3 = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when all is ready; `down` ends it.")
    ] = False,
) -> None:
    """Run the backing servers and every service here, until Ctrl-C."""
    from headrace.cli import background, lifetime, stack

    if detach:
        background.up(directory)
        return
    options = stack.LocalOptions(directory, port_base, s3.value if s3 else None)
    lifetime.run(stack.up(ctx.obj, options))


@app.command()
def down(directory: Directory = DIRECTORY) -> None:
    """Stop the running local stack; what it stored stays."""
    from headrace.cli import background

    background.down(directory)


@app.command("demo")
def run_demo(
    ctx: typer.Context,
    directory: Directory = DIRECTORY,
    port_base: PortBase = None,
    s3: S3 = None,
    once: Annotated[bool, typer.Option(help="End by itself; 0 when every payload arrived.")] = False,
) -> None:
    """Run the stack, send a sample of each kind through it and show what became of them."""
    from headrace.cli import demo, lifetime, stack

    options = stack.LocalOptions(directory, port_base, s3.value if s3 else None)
    lifetime.run(demo.demo(ctx.obj, options, once=once))


@app.command()
def serve(
    ctx: typer.Context,
    names: Names = None,
    wait: Annotated[
        float | None,
        typer.Option(
            help="Make what they need first (as init does), trying for so long.", min=0, metavar="SECONDS"
        ),
    ] = None,
) -> None:
    """Run services in this process, their engines given by HEADRACE_KAFKA, HEADRACE_S3, HEADRACE_POSTGRES."""
    from headrace.cli import lifetime, serving

    lifetime.run(serving.serve(serving.chosen(ctx.obj, names or ()), wait_seconds=wait))


@app.command()
def init(
    ctx: typer.Context,
    names: Names = None,
    wait: Annotated[
        float, typer.Option(help="Try again for so long while engines are away.", min=0, metavar="SECONDS")
    ] = 0.0,
) -> None:
    """Make the topics, buckets and databases that services need in the given engines."""
    from headrace.cli import lifetime, serving

    lifetime.run(serving.initialise_services(serving.chosen(ctx.obj, names or ()), wait_seconds=wait))


@app.command()
def services(ctx: typer.Context) -> None:
    """List the services."""
    from headrace.cli import serving

    serving.show_services(ctx.obj)


@app.command()
def urls(directory: Directory = DIRECTORY, as_json: AsJson = False) -> None:
    """Show where every part of the running local stack is, credentials included."""
    from headrace.cli import run_file

    run_file.show_urls(directory, as_json=as_json)


@app.command()
def status(directory: Directory = DIRECTORY, as_json: AsJson = False) -> None:
    """Show how every part of the running local stack is; exit code 1 when one is not well."""
    from headrace.cli import lifetime, run_file

    lifetime.run(run_file.show_status(directory, as_json=as_json))


@app.command()
def logs(
    ctx: typer.Context,
    parts: Annotated[
        list[str] | None,
        typer.Argument(help="Services and engines, by a container's name too; else all.", metavar="[NAME]…"),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    tail: Annotated[int | None, typer.Option(help="The last lines only.", min=0, metavar="LINES")] = None,
    directory: Directory = DIRECTORY,
) -> None:
    """Show what the parts of the local stack have logged."""
    from headrace.cli import logs as said

    said.show(ctx.obj, directory, parts or (), follow=follow, tail=tail)


@app.command()
def send(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, metavar="FILE…")],
    type_: Annotated[
        str | None,
        typer.Option("--type", help="A sample's kind (ols, insights …) or a content type; else guessed."),
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Send as this cluster's operator does.")] = None,
    org: Annotated[str | None, typer.Option(help="Send with this organisation's identity.")] = None,
    token: Annotated[str, typer.Option(envvar="HEADRACE_TOKEN", help="A cluster's bearer token.")] = "local",  # noqa: S107 -- what the local shape takes
    request_id: Annotated[str | None, typer.Option(help="The request id; else a new one.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show each hop as it happens.")] = False,
    within: Annotated[float, typer.Option(help="Follow for at most so many seconds.", min=0.1)] = 30.0,
    ingress: Url = None,
    tracker: Url = None,
    archiver: Url = None,
    directory: Directory = DIRECTORY,
) -> None:
    """Send files to an ingress."""
    from headrace.cli import lifetime, sending

    options = sending.SendOptions(
        type=type_,
        cluster=cluster,
        org=org,
        token=token,
        request_id=request_id,
        follow=follow,
        within_seconds=within,
    )
    where = sending.endpoints(ctx.obj, directory, ingress=ingress, tracker=tracker, archiver=archiver)
    lifetime.run(sending.send(ctx.obj, files, options, where))


@app.command()
def recommendations(
    directory: Directory = DIRECTORY,
    cluster: Annotated[str | None, typer.Option(help="Of this cluster only.")] = None,
    org: Annotated[str, typer.Option(help="Of this organisation.")] = LOCAL_ORG_ID,
    ros_api: Url = None,
) -> None:
    """Show the stored recommendations."""
    from headrace.cli import lifetime
    from headrace.cli import recommendations as shown

    lifetime.run(shown.show(shown.url_of(directory, ros_api), org, cluster))


@app.command()
def trace(
    ctx: typer.Context,
    request_id: str,
    as_json: AsJson = False,
    org: Annotated[
        str | None, typer.Option(help="Whose request; needed where the tracker wants an identity.")
    ] = None,
    tracker: Url = None,
    archiver: Url = None,
    directory: Directory = DIRECTORY,
) -> None:
    """Show what became of a request: each hop with its time, and where the archive is."""
    from headrace.cli import lifetime, sending

    where = sending.endpoints(ctx.obj, directory, ingress=None, tracker=tracker, archiver=archiver)
    lifetime.run(sending.trace(request_id, where, org=org, as_json=as_json))


@app.command()
def sample(
    kind: Annotated[str | None, typer.Argument(help="What to make; --list names them.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory to write into.")] = Path(),
    list_: Annotated[bool, typer.Option("--list", help="List the kinds.")] = False,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 1,
    cluster: Annotated[str | None, typer.Option(help="Cluster id; else one of the seed.")] = None,
    org: Annotated[str, typer.Option(help="Organisation id.")] = LOCAL_ORG_ID,
    clusters: Annotated[int, typer.Option(help="Clusters (cost).")] = 1,
    workloads: Annotated[int, typer.Option(help="Workloads a cluster (cost).")] = 8,
    days: Annotated[int, typer.Option(help="Days of data.")] = 1,
) -> None:
    """Write a realistic archive."""
    from headrace.cli import samples
    from headrace.samples import SampleOptions

    if list_ or kind is None:
        samples.show_kinds()
        return
    options = SampleOptions(
        seed=seed, cluster_id=cluster, org_id=org, clusters=clusters, workloads=workloads, days=days
    )
    samples.write(kind, output, options)


@app.command()
def docs(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")] = Path(
        "docs/configuration.md"
    ),
) -> None:
    """Write the page that lists every setting."""
    from headrace.cli import reference

    reference.write_page(ctx.obj, output)


@app.command()
def generate(
    ctx: typer.Context,
    root: Annotated[Path, typer.Option(help="The repository.", file_okay=False)] = Path(),
) -> None:
    """Write what follows from the services' table: manifests, dashboard, AsyncAPI document."""
    from headrace.cli.output import Output
    from headrace.deployment import written

    for path in written.write(ctx.obj, root):
        Output().line(str(path))


letters = typer.Typer(help="What could not be handled, and putting it back.", no_args_is_help=True)
app.add_typer(letters, name="dead-letters")


@letters.command("list")
def list_dead_letters(
    ctx: typer.Context,
    topic: Annotated[str | None, typer.Argument(help="A topic; all when none is named.")] = None,
    directory: Directory = DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """List dead letters, oldest first."""
    from headrace.cli import dead_letters, lifetime

    lifetime.run(dead_letters.show_all(dead_letters.engines(directory), ctx.obj, topic, as_json=as_json))


@letters.command("show")
def show_dead_letter(topic: str, partition: int, offset: int, directory: Directory = DIRECTORY) -> None:
    """Show one dead letter whole."""
    from headrace.cli import dead_letters, lifetime

    lifetime.run(dead_letters.show_one(dead_letters.engines(directory), topic, partition, offset))


@letters.command("redrive")
def redrive_dead_letters(
    ctx: typer.Context,
    topic: Annotated[str | None, typer.Argument(help="A topic; all when none is named.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many.", min=1)] = None,
    directory: Directory = DIRECTORY,
) -> None:
    """Put dead letters back to their topic, each once."""
    from headrace.cli import dead_letters, lifetime

    lifetime.run(dead_letters.put_back(dead_letters.engines(directory), ctx.obj, topic, limit))


clusters = typer.Typer(help="Whose each cluster is.", no_args_is_help=True)
app.add_typer(clusters, name="clusters")


@clusters.command("list")
def list_clusters(
    ctx: typer.Context,
    cluster: Annotated[str | None, typer.Argument(help="A cluster; all when none is named.")] = None,
    directory: Directory = DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """List clusters with their owner in each service, and the organisations that were refused."""
    from headrace.cli import clusters as owned
    from headrace.cli import lifetime
    from headrace.cli.dead_letters import engines

    lifetime.run(owned.show(engines(directory), ctx.obj, cluster, as_json=as_json))


@clusters.command("move")
def move_cluster(
    ctx: typer.Context,
    cluster: Annotated[str, typer.Argument(help="A cluster, also one that has not reported yet.")],
    to: Annotated[str, typer.Option(help="The organisation whose it is from now on.", metavar="ORG")],
    directory: Directory = DIRECTORY,
) -> None:
    """Give a cluster to an organisation: its reports go along, what users wrote about it does not."""
    from headrace.cli import clusters as owned
    from headrace.cli import lifetime
    from headrace.cli.dead_letters import engines

    lifetime.run(owned.move(engines(directory), ctx.obj, cluster, to))


objects = typer.Typer(
    help="The stack's S3, in the words of MinIO's client; a place is ALIAS/bucket/key.", no_args_is_help=True
)
app.add_typer(objects, name="objects")


@objects.command("ls")
def list_objects(
    place: Annotated[
        str, typer.Argument(help="A bucket or the beginning of keys.", metavar="ALIAS/bucket[/key]")
    ],
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Everything below it.")] = False,
    directory: Directory = DIRECTORY,
) -> None:
    """List objects."""
    from headrace.cli import lifetime
    from headrace.cli import objects as stored

    lifetime.run(stored.show(directory, place, recursive=recursive))


@objects.command("cp")
def copy_object(source: str, target: str, directory: Directory = DIRECTORY) -> None:
    """Copy a file (/dev/stdin too) to an object, or an object to a file."""
    from headrace.cli import lifetime
    from headrace.cli import objects as stored

    lifetime.run(stored.copy(directory, source, target))


@objects.command("cat")
def show_object(place: str, directory: Directory = DIRECTORY) -> None:
    """Write an object to stdout."""
    from headrace.cli import lifetime
    from headrace.cli import objects as stored

    lifetime.run(stored.show_content(directory, place))


@objects.command("rm")
def remove_object(place: str, directory: Directory = DIRECTORY) -> None:
    """Remove one object."""
    from headrace.cli import lifetime
    from headrace.cli import objects as stored

    lifetime.run(stored.remove(directory, place))
