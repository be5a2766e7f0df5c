"""The commands of the ROS-OCP data flow document, typed as it prints them."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

DOCUMENT: list[dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("ros_document.yaml").read_text(encoding="utf-8")
)
SAYS_SECONDS = 120.0


class Shell:
    """Runs commands as one session of a person would, in a directory that has the samples.

    ``names`` are what stands for the document's addresses; ``ended`` is called when what runs on was told to stop.
    """

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        *,
        names: Mapping[str, str] | None = None,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self.directory = directory
        self.environment = dict(environment)
        self._names = names or {}
        self._ended = ended

    def run(self, text: str, *, ends_by: str = "", shows: str = "") -> tuple[int, str]:
        """Exit status and what it said; what runs on gets the signal once it has shown the pattern."""
        for printed, here in self._names.items():
            text = text.replace(printed, here)
        keep = "trap 'declare -p CSV_FILENAME > variables 2>/dev/null' EXIT; . ./variables 2>/dev/null\n"
        with (self.directory / "output").open("w+", encoding="utf-8") as output:
            process = subprocess.Popen(
                ("bash", "-c", keep + text),
                cwd=self.directory, env=self.environment, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
            try:
                if ends_by:
                    self.wait_until_said(shows)
                    os.killpg(process.pid, signal.Signals[f"SIG{ends_by}"])
                status = process.wait(SAYS_SECONDS)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if ends_by:
            self._ended()
        return (0 if ends_by else status), self.said()

    def shows(self, item: Mapping[str, Any]) -> bool:
        """Whether the document's command does what it should, as an assertion."""
        status, text = self.run(item["run"], ends_by=item.get("ends_by", ""), shows=item.get("shows", ""))
        assert status == item.get("status", 0), text[-2000:]
        assert re.search(item.get("shows", ""), text), text[-2000:]
        return True

    def wait_until_said(self, shows: str) -> None:
        deadline = time.monotonic() + SAYS_SECONDS
        while not re.search(shows, self.said()):
            assert time.monotonic() < deadline, f"not said: {shows}\n{self.said()[-2000:]}"
            time.sleep(0.2)

    def said(self) -> str:
        return (self.directory / "output").read_text(encoding="utf-8", errors="replace")
