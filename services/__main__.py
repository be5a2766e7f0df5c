"""The `headrace` command, given the services' table and the commands that services have of their own."""

from headrace.cli.main import app, run
from services.assisted_events.commands import assisted
from services.ols_collector.commands import collector
from services.registry import SERVICES
from services.ros_processor.commands import ros
from services.rules_engine.commands import rules
from services.segment_bridge.commands import segment

app.add_typer(assisted, name="assisted")
app.add_typer(ros, name="ros")
app.add_typer(rules, name="rules")
app.add_typer(collector, name="collector")
app.add_typer(segment, name="segment")


def main() -> None:
    """Run it."""
    run(SERVICES)


if __name__ == "__main__":
    main()
