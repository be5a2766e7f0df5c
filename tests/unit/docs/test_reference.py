"""The pages of the commands and of the metrics, and the picture, are what the code says."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import typer.main

from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.deployment.picture import Edge, edges, picture
from headrace.laptop.reference_commands import commands_page
from headrace.laptop.reference_metrics import declared, metrics_page, shown_name
from headrace.runtime import metrics
from headrace_services.__main__ import command
from headrace_services.registry import SERVICES

DOCS = Path(__file__).parents[3] / "docs"
ROOT: Any = typer.main.get_command(command())


def test_the_page_of_commands_is_as_the_command_line_is():
    assert (DOCS / "commands.md").read_text(encoding="utf-8") == commands_page(ROOT), (
        "renew it with: make docs"
    )


def test_the_page_of_metrics_is_as_they_are_declared():
    assert (DOCS / "metrics.md").read_text(encoding="utf-8") == metrics_page(SERVICES), (
        "renew it with: make docs"
    )


def test_every_command_has_a_section():
    titles = set(re.findall(r"^#+ headrace (.+)$", commands_page(ROOT), re.MULTILINE))
    assert titles >= set(ROOT.commands)
    assert {"dead-letters redrive", "objects ls", "rules try"} <= titles


def test_an_option_tells_its_default_and_its_variable():
    assert "stack's data. (default: `.headrace`; from `HEADRACE_DIRECTORY`) |\n" in commands_page(ROOT)


def test_every_metric_of_every_process_is_there_with_what_to_do_about_it():
    page = metrics_page(SERVICES)
    assert len(list(declared(metrics))) > 10
    for _, metric in declared(metrics):
        assert f"| `{shown_name(metric)}` |" in page
    assert "add replicas or look for a hold" in page


def test_metrics_that_stand_in_a_mapping_are_there_too():
    assert "| `rosocp_invalid_namespace_csv_total` |" in metrics_page(SERVICES)


def test_the_picture_shows_every_service_and_its_topics():
    root = ET.fromstring(picture(SERVICES))  # noqa: S314 -- our own
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {row.name for row in SERVICES} <= texts
    assert {"platform.upload.announce", "hccm.ros.events", "your sender"} <= texts


def test_ways_follow_topics_settings_and_shared_databases():
    found = edges(SERVICES)
    assert Edge("ingress", "archiver", "platform.upload.announce") in found
    assert Edge("koku", "sources_api", "HTTP") in found
    assert Edge("ros_poller", "ros_api", "PostgreSQL") in found
    assert PAYLOAD_STATUS.name not in {edge.by for edge in found}
