"""The `headrace` command, with the services' table and the services' own commands."""

import gc
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer


@cache
def command() -> "Typer":
    """Return the whole command line."""
    from headrace.cli.main import app
    from headrace.cli.panels import SENDERS
    from headrace_services.assisted_events.commands import assisted
    from headrace_services.ols_collector.commands import collector
    from headrace_services.ros_processor.commands import ros
    from headrace_services.rules_engine.commands import rules
    from headrace_services.segment_bridge.commands import segment

    # The image of the services is made without it.
    if find_spec("headrace.laptop"):
        from headrace.laptop.commands import laptop

        app.add_typer(laptop)
    app.add_typer(assisted, name="assisted", rich_help_panel=SENDERS)
    app.add_typer(ros, name="ros", rich_help_panel=SENDERS)
    app.add_typer(rules, name="rules", rich_help_panel=SENDERS)
    app.add_typer(collector, name="collector", rich_help_panel=SENDERS)
    app.add_typer(segment, name="segment", rich_help_panel=SENDERS)
    return app


def main() -> None:
    """Run it."""
    # Next to nothing of what is imported is garbage, and looking for it a tenth of a start: commands turn it on again.
    gc.disable()
    command()
    from headrace.cli.main import run
    from headrace_services.registry import SERVICES

    run(SERVICES)


if __name__ == "__main__":
    main()
