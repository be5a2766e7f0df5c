"""``headrace rules run config.yaml``: runs the engine by a config.yaml of the CCX data pipeline."""

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from headrace.cli import lifetime
from headrace.cli.failures import reported
from headrace.cli.output import fail
from headrace.rules import require_insights_core
from headrace.runtime.settings import EngineSettings, ProcessSettings, load
from headrace.service.row import Service

if TYPE_CHECKING:
    from headrace_services.rules_engine.config_yaml.plan import Pipeline

_USAGE = "expected the path of a config.yaml: python -m insights_messaging config.yaml"


@dataclass(frozen=True)
class PipelineService(Service):
    """The engine's row, started by a plan and not only by the environment."""

    plan: "Pipeline | None" = None

    def module(self, name: str) -> ModuleType:
        """Return modules of the service; its ``app`` starts the plan."""
        if name != "app" or self.plan is None:
            return super().module(name)
        from headrace_services.rules_engine.config_yaml import wiring

        module = ModuleType("headrace_services.rules_engine.config_yaml.wired")
        module.start = partial(wiring.start, plan=self.plan)  # type: ignore[attr-defined]
        return module


def service_of(path: Path) -> PipelineService:
    """Read a config.yaml and configure its log; raises `ConfigurationError` with one line."""
    require_insights_core()
    from headrace_services.rules_engine.config_yaml import classes
    from headrace_services.rules_engine.config_yaml.document import read_file
    from headrace_services.rules_engine.config_yaml.logs import configure_logs

    classes.make_importable(Path.cwd())
    plan = read_file(path, os.environ)
    configure_logs(plan, load(ProcessSettings))
    return PipelineService(name="rules_engine", summary="runs Insights rules on archives", plan=plan)


def run_config(path: Path) -> None:
    """Run until a signal; a fault of the file is one line and exit code 1."""
    from headrace.service.process import serve

    row = service_of(path)
    lifetime.run(serve([row], load(EngineSettings), load(ProcessSettings)))


def main() -> None:
    """Run with the only argument that the framework's module accepts."""
    if len(sys.argv) != 2:
        fail(_USAGE)
    with reported():
        run_config(Path(sys.argv[1]))
