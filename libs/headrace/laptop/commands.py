"""The commands of the `headrace` command that people run on a laptop; an image of the services has none of them.

Each command imports what it needs, so that the short ones answer at once.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.main import DIRECTORY, AsJson, Directory
from headrace.cli.panels import MAINTAIN, RUN, SEND
from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.runtime.errors import ConfigurationError

laptop = typer.Typer()


class S3Choice(StrEnum):
    """The S3 servers of the local shape."""

    minio = "minio"
    seaweedfs = "seaweedfs"


PortBase = Annotated[
    int | None,
    typer.Option(
        help="Base of all ports: uses N to N+97 and, for SeaweedFS, N+10097; 0: ports that are free.",
        metavar="N",
    ),
]
S3 = Annotated[
    S3Choice | None,
    typer.Option(help="S3 server; a data directory keeps the server that it was created with."),
]
Url = Annotated[
    str | None, typer.Option(help="URL; default: that of the running local stack.", metavar="URL")
]


@laptop.command(rich_help_panel=RUN)
def up(
    ctx: typer.Context,
    directory: Directory = DIRECTORY,
    port_base: PortBase = None,
    s3: S3 = None,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            "-d",
            help="Run in the background; return when everything is ready. `headrace down` stops it.",
        ),
    ] = False,
    while_: Annotated[
        int | None, typer.Option("--while", help="Stop when this process has ended.", metavar="PID")
    ] = None,
) -> None:
    """Run the backing servers and every service here, until Ctrl-C."""
    from headrace.cli import lifetime
    from headrace.laptop import background, stack

    if detach:
        background.up(directory)
        return
    options = stack.LocalOptions(directory, port_base, s3.value if s3 else None, while_)
    lifetime.run(stack.up(ctx.obj, options))


@laptop.command(rich_help_panel=RUN)
def down(directory: Directory = DIRECTORY) -> None:
    """Stop the running local stack; what it stored stays."""
    from headrace.laptop import background

    background.down(directory)


engine = typer.Typer(
    help="Stop and start an engine of the running local stack, to test an outage.", no_args_is_help=True
)
laptop.add_typer(engine, name="engine", rich_help_panel=RUN)


@engine.command("stop")
def stop_engine(
    name: Annotated[str, typer.Argument(help="kafka, s3 or postgres.")], directory: Directory = DIRECTORY
) -> None:
    """Stop an engine and keep it stopped; its data stays. Return when it has stopped."""
    from headrace.laptop import holding

    holding.hold(directory, name)


@engine.command("start")
def start_engine(
    name: Annotated[str, typer.Argument(help="kafka, s3 or postgres.")], directory: Directory = DIRECTORY
) -> None:
    """Start an engine that was stopped; return when it answers."""
    from headrace.laptop import holding

    holding.release(directory, name)


@laptop.command("demo", rich_help_panel=RUN)
def run_demo(
    ctx: typer.Context,
    directory: Directory = DIRECTORY,
    port_base: PortBase = None,
    s3: S3 = None,
    once: Annotated[
        bool, typer.Option(help="Exit when the samples are processed; exit code 0 if every payload arrived.")
    ] = False,
) -> None:
    """Run the stack, send a sample of each kind through it and show what became of them."""
    from headrace.cli import lifetime
    from headrace.laptop import demo, stack

    options = stack.LocalOptions(directory, port_base, s3.value if s3 else None)
    lifetime.run(demo.demo(ctx.obj, options, once=once))


@laptop.command(rich_help_panel=RUN)
def urls(
    part: Annotated[
        str | None,
        typer.Argument(help="Only the URL of this service or engine, for scripts.", metavar="NAME"),
    ] = None,
    directory: Directory = DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Show where every part of the running local stack is, credentials included."""
    from headrace.laptop import status as shown

    if part is not None:
        shown.show_url(directory, part)
    else:
        shown.show_urls(directory, as_json=as_json)


@laptop.command(rich_help_panel=RUN)
def status(directory: Directory = DIRECTORY, as_json: AsJson = False) -> None:
    """Show how every part of the running local stack is; exit code 1 when one is not well yet or any more."""
    from headrace.cli import lifetime
    from headrace.laptop import status as shown

    lifetime.run(shown.show_status(directory, as_json=as_json))


@laptop.command(rich_help_panel=RUN)
def logs(
    ctx: typer.Context,
    parts: Annotated[
        list[str] | None,
        typer.Argument(help="Services and engines, also by container name; default: all.", metavar="NAME"),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow the logs until Ctrl-C.")] = False,
    tail: Annotated[
        int | None, typer.Option(help="Show only the last N lines.", min=0, metavar="LINES")
    ] = None,
    directory: Directory = DIRECTORY,
) -> None:
    """Show what the parts of the local stack have logged."""
    from headrace.laptop import logs as said

    said.show(ctx.obj, directory, parts or (), follow=follow, tail=tail)


@laptop.command(rich_help_panel=SEND)
def send(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="Archives, or bare usage CSVs.", metavar="FILE"
        ),
    ],
    type_: Annotated[
        str | None,
        typer.Option(
            "--type", help="Kind of sample (ols, insights …) or content type; default: derived from the file."
        ),
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Send as the operator of this cluster.")] = None,
    org: Annotated[str | None, typer.Option(help="Send with the identity of this organisation.")] = None,
    token: Annotated[str, typer.Option(envvar="HEADRACE_TOKEN", help="Bearer token of a cluster.")] = "local",  # noqa: S107 -- what the local shape takes
    request_id: Annotated[str | None, typer.Option(help="Request id; default: a new one.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show each status as it arrives.")] = False,
    within: Annotated[float, typer.Option(help="Follow for at most this many seconds.", min=0.1)] = 60.0,
    ingress: Url = None,
    tracker: Url = None,
    archiver: Url = None,
    directory: Directory = DIRECTORY,
) -> None:
    """Send files to an ingress."""
    from headrace.cli import lifetime
    from headrace.laptop import sending

    options = sending.SendOptions(
        type=type_,
        cluster=cluster,
        org=org,
        token=token,
        request_id=request_id,
        follow=follow,
        within_seconds=within,
    )
    followers = {"tracker": tracker, "archiver": archiver} if follow else {}
    where = sending.endpoints(ctx.obj, directory, ingress=ingress, **followers)
    lifetime.run(sending.send(ctx.obj, files, options, where))


@laptop.command(rich_help_panel=SEND)
def check(
    ctx: typer.Context,
    archive: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="Archive that would be sent.", metavar="ARCHIVE"
        ),
    ],
    type_: Annotated[
        str | None,
        typer.Option(
            "--type", help="Kind of sample (ols, insights …) or content type; default: derived from the file."
        ),
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Cluster that the identity names.")] = None,
    org: Annotated[str | None, typer.Option(help="Organisation that the identity names.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Judge like an installation that is not lenient.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say without a stack what ingress and each service would make of an archive; exit code 1 if one refuses it."""
    from headrace.cli import lifetime
    from headrace.laptop import checking

    lifetime.run(
        checking.check(
            ctx.obj, archive, type_=type_, org=org, cluster=cluster, strict=strict, as_json=as_json
        )
    )


@laptop.command(rich_help_panel=SEND)
def recommendations(
    directory: Directory = DIRECTORY,
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    org: Annotated[str, typer.Option(help="Organisation.")] = LOCAL_ORG_ID,
    ros_api: Url = None,
) -> None:
    """Show the stored recommendations."""
    from headrace.cli import lifetime
    from headrace.laptop import recommendations as shown

    lifetime.run(shown.show(shown.url_of(directory, ros_api), org, cluster))


@laptop.command(rich_help_panel=SEND)
def trace(
    ctx: typer.Context,
    request_id: Annotated[str, typer.Argument(help="Request id, as `headrace send` shows it.")],
    as_json: AsJson = False,
    org: Annotated[
        str | None,
        typer.Option(help="Organisation of the request; needed if the tracker requires an identity."),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Show each status as it arrives; exit code 1 if a service fails or stays silent."
        ),
    ] = False,
    type_: Annotated[
        str | None,
        typer.Option("--type", help="With --follow: kind of sample or content type that was sent."),
    ] = None,
    within: Annotated[float, typer.Option(help="Follow for at most this many seconds.", min=0.1)] = 30.0,
    tracker: Url = None,
    archiver: Url = None,
    directory: Directory = DIRECTORY,
) -> None:
    """Show what became of a request: each hop with its time, and where the archive is."""
    from headrace.cli import lifetime
    from headrace.laptop import sending

    where = sending.endpoints(ctx.obj, directory, tracker=tracker, archiver=archiver)
    if not follow:
        lifetime.run(sending.trace(request_id, where, org=org, as_json=as_json))
        return
    if type_ is None:
        raise ConfigurationError("--follow needs --type: it says which services will report on the payload")
    options = sending.FollowOptions(type_, org or LOCAL_ORG_ID, within)
    lifetime.run(sending.follow(ctx.obj, request_id, where, options))


@laptop.command(rich_help_panel=SEND)
def sample(
    kind: Annotated[str | None, typer.Argument(help="Kind of sample; --list shows the kinds.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory to write to.")] = Path(),
    list_: Annotated[bool, typer.Option("--list", help="List the kinds.")] = False,
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same bytes.")] = 1,
    cluster: Annotated[str | None, typer.Option(help="Cluster id; default: derived from the seed.")] = None,
    org: Annotated[str, typer.Option(help="Organisation id.")] = LOCAL_ORG_ID,
    clusters: Annotated[int, typer.Option(help="Number of clusters (cost).")] = 1,
    workloads: Annotated[int, typer.Option(help="Number of workloads per cluster (cost).")] = 8,
    days: Annotated[int, typer.Option(help="Number of days of data.")] = 1,
) -> None:
    """Write a realistic archive."""
    from headrace.laptop import samples
    from headrace.samples import SampleOptions

    if list_ or kind is None:
        samples.show_kinds()
        return
    options = SampleOptions(
        seed=seed, cluster_id=cluster, org_id=org, clusters=clusters, workloads=workloads, days=days
    )
    samples.write(kind, output, options)


@laptop.command(rich_help_panel=MAINTAIN)
def docs(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory to write to.")] = Path("docs"),
) -> None:
    """Write the pages that list every setting, command and metric."""
    from headrace.laptop.reference import configuration_page, write_page
    from headrace.laptop.reference_commands import commands_page
    from headrace.laptop.reference_metrics import metrics_page

    write_page(output / "configuration.md", configuration_page(ctx.obj))
    write_page(output / "commands.md", commands_page(ctx.find_root().command))
    write_page(output / "metrics.md", metrics_page(ctx.obj))


@laptop.command(rich_help_panel=MAINTAIN)
def generate(
    ctx: typer.Context,
    root: Annotated[Path, typer.Option(help="Root of the repository.", file_okay=False)] = Path(),
) -> None:
    """Write what follows from the services' table: manifests, dashboard, AsyncAPI document, picture."""
    from headrace.cli.output import Output
    from headrace.deployment import written

    for path in written.write(ctx.obj, root):
        Output().line(str(path))


objects = typer.Typer(
    help=(
        "List, copy, show and remove objects in the stack's S3, with the syntax of MinIO's client: "
        "ALIAS/bucket/key."
    ),
    no_args_is_help=True,
)
laptop.add_typer(objects, name="objects", rich_help_panel=SEND)

Object = Annotated[str, typer.Argument(help="The object.", metavar="ALIAS/bucket/key")]


@objects.command("ls")
def list_objects(
    place: Annotated[str, typer.Argument(help="Bucket, or prefix of keys.", metavar="ALIAS/bucket[/key]")],
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="List everything below it.")] = False,
    directory: Directory = DIRECTORY,
) -> None:
    """List objects."""
    from headrace.cli import lifetime
    from headrace.laptop import objects as stored

    lifetime.run(stored.show(directory, place, recursive=recursive))


@objects.command("cp")
def copy_object(
    source: Annotated[str, typer.Argument(help="File, or object as ALIAS/bucket/key.")],
    target: Annotated[str, typer.Argument(help="Object as ALIAS/bucket/key, or file.")],
    directory: Directory = DIRECTORY,
) -> None:
    """Copy a file (/dev/stdin too) to an object, or an object to a file."""
    from headrace.cli import lifetime
    from headrace.laptop import objects as stored

    lifetime.run(stored.copy(directory, source, target))


@objects.command("cat")
def show_object(place: Object, directory: Directory = DIRECTORY) -> None:
    """Write an object to stdout."""
    from headrace.cli import lifetime
    from headrace.laptop import objects as stored

    lifetime.run(stored.show_content(directory, place))


@objects.command("rm")
def remove_object(place: Object, directory: Directory = DIRECTORY) -> None:
    """Remove one object."""
    from headrace.cli import lifetime
    from headrace.laptop import objects as stored

    lifetime.run(stored.remove(directory, place))
