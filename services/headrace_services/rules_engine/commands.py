"""``headrace rules run``, beside the commands for authors."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.rules import rules

__all__ = ["rules"]


@rules.command("run")
def run_pipeline(
    config: Annotated[Path, typer.Argument(help="config.yaml of the CCX data pipeline.")],
) -> None:
    """Run the engine by a config.yaml of the CCX data pipeline, until Ctrl-C."""
    from headrace_services.rules_engine.config_yaml.run import run_config

    run_config(config)
