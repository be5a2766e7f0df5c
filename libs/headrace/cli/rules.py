"""``headrace rules``: what an author of rules does at a desk. The engine's service adds ``run``."""

from pathlib import Path
from typing import Annotated

import typer

rules = typer.Typer(help="Rules for archives: write your own, try them.", no_args_is_help=True)


@rules.command("new")
def new_package(
    name: Annotated[str, typer.Argument(help="Of the package: lower-case letters, digits, - and _.")],
) -> None:
    """Begin a package of rules in a new directory here, with an example that is tested and described."""
    from headrace.rules.scaffold import scaffold

    for path in scaffold(Path(), name):
        typer.echo(path)


@rules.command("try")
def try_rules(
    archive: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="An archive as it is uploaded.")
    ],
    package: Annotated[
        list[str] | None,
        typer.Option("--package", "-p", help="Rules to run, also from here; the shipped ones by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as it is published.")] = False,
) -> None:
    """Run rules on an archive and show what they say, which were skipped or failed, and why."""
    from headrace.rules import require_insights_core

    require_insights_core()
    from headrace.cli.rules_trial import run_trial

    run_trial(archive, tuple(package or ()), as_json=as_json)
