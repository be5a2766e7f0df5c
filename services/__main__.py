"""The `headrace` command, given the services' table."""

from headrace.cli.main import run
from services.registry import SERVICES


def main() -> None:
    """Run it."""
    run(SERVICES)


if __name__ == "__main__":
    main()
