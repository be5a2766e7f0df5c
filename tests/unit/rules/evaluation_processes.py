"""Rules are loaded for the whole process and for good, so tests load them in processes of their own."""

import io
import json
import multiprocessing
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from headrace.rules.evaluation import Evaluation, Rules, RulesConfig


def in_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a module's function returns, or raises, when it runs in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result(timeout=100)


def evaluations(config: RulesConfig, archives: Mapping[str, bytes]) -> dict[str, Evaluation]:
    rules = Rules.load(config)
    return {name: rules.evaluate(archive) for name, archive in archives.items()}


def both_ways(
    config: RulesConfig, archives: Mapping[str, bytes]
) -> dict[str, tuple[Evaluation, dict[str, Any]]]:
    """Our evaluation of each archive, and the report of insights-core itself, on disk."""
    rules = Rules.load(config)
    return {
        name: (rules.evaluate(archive), report_of_insights_core(archive, config.target_components))
        for name, archive in archives.items()
    }


def report_of_insights_core(archive: bytes, targets: tuple[str, ...]) -> dict[str, Any]:
    """Extract, detect, run and write, with nothing but insights-core."""
    from insights.core import dr
    from insights.core.archives import extract
    from insights.core.hydration import initialize_broker
    from insights.formats._json import JsonFormat

    graph: dict[Any, Any] = {}
    for component in dr.DELEGATES:
        if targets and dr.get_name(component).startswith(targets):
            graph.update(dr.get_dependency_graph(component))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "upload")
        path.write_bytes(archive)
        output = io.StringIO()
        with extract(str(path), extract_dir=directory) as extraction:
            _context, broker = initialize_broker(extraction.tmp_dir)
            with JsonFormat(broker, stream=output):
                dr.run(graph or dict(dr.COMPONENTS[dr.GROUPS.single]), broker=broker)
    return json.loads(output.getvalue())


def settled(report: dict[str, Any]) -> dict[str, Any]:
    """A report without its times, in an order of its own."""
    report = dict(report)
    analysis = report.pop("analysis_metadata")
    report["execution_context"] = analysis["execution_context"]
    for value in report.values():
        if isinstance(value, list):
            for entry in value:
                entry["tags"] = sorted(entry["tags"])
            value.sort(key=lambda entry: (entry["component"], entry["key"]))
    return report
