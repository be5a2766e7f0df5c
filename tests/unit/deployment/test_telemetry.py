"""Dashboard, alerts and AsyncAPI document: what they name is there."""

import json
import re

import jsonschema
import pytest
import yaml

from headrace.deployment import catalogue
from headrace.deployment.written import ASYNCAPI, DASHBOARD
from headrace_services.registry import SERVICES
from tests.unit.deployment.rendered import KUSTOMIZE, ROOT

ALERTS = KUSTOMIZE / "components" / "monitoring" / "alerts.yaml"
# Prometheus' own.
ELSEWHERE = {"up"}
_STRINGS = re.compile(r'"[^"]*"|\{\{.*?\}\}')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)|\{[^}]*\}|\[[^\]]*\]")
_OPERATORS = {"and", "or", "unless", "by", "sum", "max", "min", "avg"}


def names_in(expression):
    """The metrics that an expression reads."""
    bare = _GROUPING.sub(" ", _STRINGS.sub('""', expression))
    return {
        name
        for name in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.sub(r"[a-zA-Z_]+(?=\s*\()", " ", bare))
        if name not in _OPERATORS
    }


@pytest.fixture(scope="module")
def names():
    return catalogue.names(SERVICES) | ELSEWHERE


@pytest.fixture(scope="module")
def alerts():
    document = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return {rule["alert"]: rule for group in document["spec"]["groups"] for rule in group["rules"]}


@pytest.fixture(scope="module")
def dashboard():
    return json.loads((ROOT / DASHBOARD).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def asyncapi():
    return json.loads((ROOT / ASYNCAPI).read_text(encoding="utf-8"))


def panels_of(dashboard):
    for panel in dashboard["panels"]:
        yield from [panel, *panel.get("panels", ())]


def test_metrics_in_an_expression_are_found():
    text = 'sum by (a, le) (rate(x_bucket{why=~"hung|b"}[15m])) > 0.01 * max(y_total) and z{d="q"} == 0'
    assert names_in(text) == {"x_bucket", "y_total", "z"}


def test_every_metric_of_an_alert_is_there(alerts, names):
    unknown = {alert: names_in(rule["expr"]) - names for alert, rule in alerts.items()}
    assert {alert: missing for alert, missing in unknown.items() if missing} == {}
    assert len(alerts) >= 10
    assert all(names_in(rule["expr"]) for rule in alerts.values())


def test_labels_of_an_alert_are_labels_of_its_metric(alerts):
    labels = {
        series: set(metric.labels)
        for section in catalogue.sections(SERVICES)
        for metric in section.metrics
        for series in metric.series
    }
    for rule in alerts.values():
        for name, matchers in re.findall(r"([a-z][a-zA-Z0-9_]*)\{([^}]*)\}", rule["expr"]):
            if name not in ELSEWHERE:
                assert set(re.findall(r"(\w+)(?:=~|!=|=|!~)", matchers)) <= labels[name]


def test_every_alert_is_explained(alerts):
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in alerts if f"`{name}`" not in operations] == []
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in alerts.values())


def test_the_dashboard_shows_every_metric_and_no_other(dashboard, names):
    shown = {
        name
        for panel in panels_of(dashboard)
        for target in panel.get("targets", ())
        for name in names_in(target["expr"])
    }
    assert shown - names == set()
    families = {metric.name for section in catalogue.sections(SERVICES) for metric in section.metrics}
    described = {
        re.match(r"`(\w+)`", panel["description"])[1] for panel in panels_of(dashboard) if "targets" in panel
    }
    assert described == families


def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard):
    panels = list(panels_of(dashboard))
    assert len({panel["id"] for panel in panels}) == len(panels)
    for group in [dashboard["panels"], *(panel.get("panels", ()) for panel in dashboard["panels"])]:
        taken = set()
        for panel in group:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
            assert not cells & taken
            assert place["x"] + place["w"] <= 24
            taken |= cells


def test_every_service_with_metrics_has_a_row(dashboard):
    titles = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
    assert titles == [section.title for section in catalogue.sections(SERVICES)]


def test_every_topic_of_the_table_has_a_channel_and_its_operations(asyncapi):
    operations = asyncapi["operations"]
    for row in SERVICES:
        for item in row.consumes:
            operation = operations[f"{row.name}.receive.{item.topic.name}"]
            group = operation["bindings"]["kafka"]["groupId"]
            assert group["default" if "group" in item.set_by else "const"] == item.group
            assert asyncapi["channels"][item.topic.name]["address"] == item.topic.name
        for topic in row.produces:
            assert operations[f"{row.name}.send.{topic.name}"]["action"] == "send"
    assert len(operations) == sum(
        len(row.consumes) + len({topic.name for topic in row.produces}) for row in SERVICES
    )


def test_every_reference_in_the_asyncapi_document_leads_somewhere(asyncapi):
    def references(node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(asyncapi))
    assert found
    for reference in found:
        node = asyncapi
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("PayloadStatus", {"service": "s", "request_id": "r", "status": "x", "date": "d"}, {"service": "s"}),
        (
            "UploadValidation",
            {"request_id": "r", "validation": "success"},
            {"request_id": "r", "validation": "so"},
        ),
    ],
)
def test_payload_schemas_tell_good_from_bad(asyncapi, name, good, bad):
    schema = {"$ref": f"#/components/schemas/{name}", "components": asyncapi["components"]}
    jsonschema.Draft7Validator.check_schema(asyncapi["components"]["schemas"][name])
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, schema)
