"""``headrace rules``: the commands for authors of rules. The engine's service adds ``run``."""

from pathlib import Path
from typing import Annotated

import typer

rules = typer.Typer(help="Write rules for archives and run them.", no_args_is_help=True)


@rules.command("new")
def new_package(
    name: Annotated[str, typer.Argument(help="Name of the package: lower-case letters, digits, - and _.")],
) -> None:
    """Create a package of rules in a new directory, with a tested and described example."""
    from headrace.rules.scaffold import scaffold

    for path in scaffold(Path(), name):
        typer.echo(path)


@rules.command("try")
def try_rules(
    archive: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="Archive in the format of an upload."
        ),
    ],
    package: Annotated[
        list[str] | None,
        typer.Option(
            "--package",
            "-p",
            help="Package of rules, also from the working directory; default: the included rules.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report in the format in which it is published.")
    ] = False,
) -> None:
    """Run rules on an archive and show the results, and which rules were skipped or failed, and why."""
    from headrace.rules import require_insights_core

    require_insights_core()
    from headrace.cli.rules_trial import run_trial

    run_trial(archive, tuple(package or ()), as_json=as_json)
