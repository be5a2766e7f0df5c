"""The Grafana dashboard: a row for each section of the metric catalogue, a panel for each metric."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from headrace.deployment.catalogue import Metric, Section, sections
from headrace.service.row import Service

UID: Final = "headrace"
_COLUMNS: Final = 3
_WIDTH, _HEIGHT = 24 // _COLUMNS, 7
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_UNITS: Final = (("_seconds", "s"), ("_bytes", "bytes"), ("_sizes", "bytes"), ("_size", "bytes"))
_QUANTILES: Final = (0.5, 0.95)

Json = dict[str, Any]


def dashboard(rows: Sequence[Service]) -> str:
    """Return the dashboard as Grafana's JSON; every section except the runtime's is folded."""
    document = {
        "uid": UID,
        "title": "Headrace",
        "description": "Written by `make docs` from the metric catalogue.",
        "tags": ["headrace"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_datasource_variable(), _service_variable()]},
        "panels": list(_numbered(_placed(sections(rows)))),
    }
    return json.dumps(document, indent=1) + "\n"


def _placed(found: Sequence[Section]) -> Iterator[Json]:
    y = 0
    for section in found:
        folded = section.title != "runtime"
        panels = [_panel(metric, number, y + 1) for number, metric in enumerate(section.metrics)]
        yield {
            "type": "row",
            "title": section.title,
            "collapsed": folded,
            "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
            "panels": panels if folded else [],
        }
        y += 1
        if not folded:
            yield from panels
            y += _HEIGHT * (1 + (len(panels) - 1) // _COLUMNS)


def _numbered(panels: Iterator[Json]) -> Iterator[Json]:
    number = 0
    for panel in panels:
        for item in (panel, *panel.get("panels", ())):
            number += 1
            item["id"] = number
        yield panel


def _panel(metric: Metric, number: int, top: int) -> Json:
    return {
        "type": "timeseries",
        "title": metric.text,
        "description": f"`{metric.name}` ({metric.kind})",
        "datasource": _DATASOURCE,
        "gridPos": {
            "x": number % _COLUMNS * _WIDTH,
            "y": top + number // _COLUMNS * _HEIGHT,
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": _unit(metric), "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _DATASOURCE,
                "expr": expression,
                "legendFormat": legend,
            }
            for index, (expression, legend) in enumerate(_queries(metric))
        ],
    }


def _queries(metric: Metric) -> list[tuple[str, str]]:
    """Return the PromQL and the legend of each line."""
    wanted = '{service=~"$service"}' if "service" in metric.labels else ""
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind == "histogram":
        by = ", ".join(("le", *metric.labels))
        rate = f"sum by ({by}) (rate({metric.name}_bucket{wanted}[$__rate_interval]))"
        return [
            (f"histogram_quantile({quantile:g}, {rate})", f"p{100 * quantile:g} {legend}".strip())
            for quantile in _QUANTILES
        ]
    by = f" by ({', '.join(metric.labels)})" if metric.labels else ""
    if metric.kind == "counter":
        return [(f"sum{by} (rate({metric.name}_total{wanted}[$__rate_interval]))", legend or metric.name)]
    return [(f"sum{by} ({metric.name}{wanted})", legend or metric.name)]


def _unit(metric: Metric) -> str:
    if metric.kind == "counter":
        return "cps"
    return next((unit for suffix, unit in _UNITS if metric.name.endswith(suffix)), "short")


def _datasource_variable() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _service_variable() -> Json:
    return {
        "name": "service",
        "label": "Service",
        "type": "query",
        "datasource": _DATASOURCE,
        "query": "label_values(headrace_messages_total, service)",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
