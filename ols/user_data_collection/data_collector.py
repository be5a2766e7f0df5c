"""LightSpeed's document prints `python ols/user_data_collection/data_collector.py`: this is `headrace collector run`.

It reads `olsconfig.yaml` of the working directory unless OLS_CONFIG_FILE names another; options are the command's.
"""

import os
import sys
from pathlib import Path

CONFIG = "olsconfig.yaml"


def main() -> None:
    """Become the command of this Python's environment, else of the repository's."""
    beside = (
        Path(sys.executable).with_name("headrace"),
        Path(__file__).resolve().parents[2] / ".venv/bin/headrace",
    )
    command = next((str(path) for path in beside if path.exists()), None)
    if command is None:
        sys.exit(f"{beside[1]} is not there: run `make install`")
    if Path(CONFIG).exists():
        os.environ.setdefault("OLS_CONFIG_FILE", CONFIG)
    os.execv(command, [command, "collector", "run", *sys.argv[1:]])  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    main()
