"""``headrace collector``: runs the collector from a command line."""

from pathlib import Path
from typing import Annotated

import typer

collector = typer.Typer(help="Run OpenShift Lightspeed's data collector.", no_args_is_help=True)


@collector.callback()
def _main() -> None:
    # With a single command, typer would run it without its name.
    pass


Config = Annotated[
    Path | None,
    typer.Option(help="An olsconfig.yaml; default: the file in OLS_CONFIG_FILE.", dir_okay=False),
]
Once = Annotated[bool, typer.Option("--once", help="Collect once; exit code 1 if data is left.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what one collection would send; send and delete nothing.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep files after sending.")]


@collector.command("run")
def run_collector(
    *, config: Config = None, once: Once = False, dry_run: DryRun = False, keep: Keep = False
) -> None:
    """Collect transcripts, feedback and configuration files and upload them, until a signal."""
    from headrace.runtime.settings import ProcessSettings, load
    from headrace_services.ols_collector.config import check_data_storage, plan_of, read_settings
    from headrace_services.ols_collector.process import become

    plan = plan_of(read_settings(config), load(ProcessSettings), keep=keep, dry_run=dry_run, once=once)
    check_data_storage(plan)
    become(plan)
