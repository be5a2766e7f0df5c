"""``headrace assisted``: simulates installations, shows and exports what is sent."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

assisted = typer.Typer(
    help="Simulate, show, export and send the assisted installer's events.", no_args_is_help=True
)

_DIRECTORY: Final = Path(".headrace")
_COLUMNS: Final = ("cluster_id", "outcome", "state", "sent_at", "attempts", "size_bytes", "events", "reason")

Url = Annotated[
    str | None,
    typer.Option(help="URL of the service; default: that of the running local stack.", metavar="URL"),
]
Token = Annotated[str, typer.Option(envvar="ASSISTED_EVENTS_TOKEN", help="Bearer token of the service.")]
Directory = Annotated[
    Path,
    typer.Option(envvar="HEADRACE_DIRECTORY", help="Directory of the local stack's data.", file_okay=False),
]
Cluster = Annotated[str, typer.Argument(help="Cluster id.")]


@assisted.command()
def simulate(
    clusters: Annotated[int, typer.Option(help="Installations.")] = 1,
    hosts: Annotated[int, typer.Option(help="Number of hosts per cluster.")] = 3,
    events: Annotated[
        int | None,
        typer.Option(help="Number of events per cluster; default: those of a typical installation."),
    ] = None,
    end_state: Annotated[
        str, typer.Option(help="End state: installed, cancelled, error or adding-hosts.")
    ] = "installed",
    cluster: Annotated[str | None, typer.Option(help="Id of the first cluster; default: random.")] = None,
    url: Url = None,
    token: Token = "",
    directory: Directory = _DIRECTORY,
) -> None:
    """Register simulated installations, which end at once and are sent."""
    terms = {
        "clusters": clusters, "hosts": hosts, "events": events, "end_state": end_state, "cluster_id": cluster,
    }  # fmt: skip
    answer = _call(directory, url, token, "POST", "/simulations", json=terms)
    for made in answer["clusters"]:
        typer.echo(f"{made['id']}  {end_state}  {made['hosts']} hosts  {made['events']} events")


@assisted.command()
def replay(
    archive: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="Archive (tar.gz).")
    ],
    url: Url = None,
    token: Token = "",
    directory: Directory = _DIRECTORY,
) -> None:
    """Register the installations in an archive that `preview` or `export` wrote."""
    answer = _call(directory, url, token, "POST", "/installations", file=archive)
    for made in answer["clusters"]:
        typer.echo(f"{made['id']}  {made['hosts']} hosts  {made['events']} events")


@assisted.command()
def preview(
    cluster: Cluster,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
    url: Url = None,
    token: Token = "",
    directory: Directory = _DIRECTORY,
) -> None:
    """Write the archive that would be sent about a cluster."""
    path = output or Path(f"{cluster}.events.tgz")
    _download(directory, url, token, "GET", f"/clusters/{cluster}/archive", path)


@assisted.command()
def sent(
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    state: Annotated[str | None, typer.Option(help="Only this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most this many.", min=1, max=1000)] = 100,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: Url = None,
    token: Token = "",
    directory: Directory = _DIRECTORY,
) -> None:
    """Show what was sent and when, and what was not, with the reason."""
    import orjson

    from headrace.cli.output import Output

    params = {"limit": str(limit), "cluster_id": cluster, "state": state}
    answer = _call(directory, url, token, "GET", "/sendings", params=params)
    if as_json:
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        return
    Output().table(_COLUMNS, [[row[name] for name in _COLUMNS] for row in answer["data"]])


@assisted.command()
def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory.", file_okay=False)] = Path(
        "exported"
    ),
    cluster: Annotated[
        list[str] | None, typer.Option(help="Only this cluster; default: all that were not sent.")
    ] = None,
    url: Url = None,
    token: Token = "",
    directory: Directory = _DIRECTORY,
) -> None:
    """Write archives for a manual upload from a connected site; they are no longer sent."""
    output.mkdir(parents=True, exist_ok=True)
    for cluster_id in cluster or _unsent(directory, url, token):
        path = output / f"{cluster_id}.events.tgz"
        _download(directory, url, token, "POST", f"/clusters/{cluster_id}/export", path)


@assisted.command("opt-out")
def opt_out(
    cluster: Cluster,
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="Resume sending, for installations that end from now on.")
    ] = False,
    url: Url = None,
    token: Token = "",
    directory: Directory = _DIRECTORY,
) -> None:
    """Stop sending anything about a cluster."""
    _call(directory, url, token, "DELETE" if undo else "PUT", f"/clusters/{cluster}/opt-out")


@assisted.command("send")
def send_again(
    cluster: Cluster, url: Url = None, token: Token = "", directory: Directory = _DIRECTORY
) -> None:
    """Send a cluster's last installation (again), whatever its state."""
    answer = _call(directory, url, token, "POST", f"/clusters/{cluster}/send")
    typer.echo(f"{answer['cluster_id']}  {answer['state']}")


def _unsent(directory: Path, url: str | None, token: str) -> list[str]:
    found: dict[str, None] = {}
    for state in ("waiting", "given_up"):
        answer = _call(directory, url, token, "GET", "/sendings", params={"state": state, "limit": "1000"})
        found |= dict.fromkeys(row["cluster_id"] for row in answer["data"])
    return list(found)


def _call(directory: Path, url: str | None, token: str, method: str, path: str, **terms: Any) -> Any:
    from headrace.cli import lifetime
    from headrace_services.assisted_events.remote import Remote

    return lifetime.run(Remote.of(directory, url, token).call(method, path, **terms))


def _download(directory: Path, url: str | None, token: str, method: str, path: str, output: Path) -> None:
    from headrace.cli import lifetime
    from headrace_services.assisted_events.remote import Remote

    size = lifetime.run(Remote.of(directory, url, token).download(method, path, output))
    typer.echo(f"{output}  {size} bytes")
