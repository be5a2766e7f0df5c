"""The graph follows the table."""

from dataclasses import replace
from typing import Any

from headrace_services.console.flow import HELD, WELL, columns_of, edges_of, graph_of, states_of
from headrace_services.registry import SERVICES

ROWS = [row for row in SERVICES if row.name != "console"]


def test_every_service_has_a_place_and_none_covers_another():
    graph = graph_of(ROWS)
    assert [node.row.name for node in graph.nodes] == [row.name for row in ROWS]
    boxes = [(node.x, node.y) for node in graph.nodes]
    for number, (x, y) in enumerate(boxes):
        assert 0 <= x <= graph.width - graph.nodes[0].width
        assert 0 <= y <= graph.height - graph.nodes[0].height
        for other_x, other_y in boxes[number + 1 :]:
            assert abs(x - other_x) >= graph.nodes[0].width or abs(y - other_y) >= graph.nodes[0].height


def test_who_sends_to_whom_follows_from_topics_and_addresses():
    edges = {(edge.source, edge.target, edge.topic) for edge in edges_of(ROWS)}
    assert ("ingress", "koku", "platform.upload.announce") in edges
    assert ("koku", "ros_processor", "hccm.ros.events") in edges
    assert ("ros_processor", "kruize", "") in edges
    assert ("ols_collector", "ingress", "") in edges
    assert ("ros_poller", "ros_api", "") in edges
    assert not [edge for edge in edges if edge[2] == "platform.payload-status"]


def test_what_is_not_in_the_table_is_not_drawn():
    fewer = [row for row in ROWS if row.name != "koku"]
    graph = graph_of(fewer)
    assert "koku" not in {node.row.name for node in graph.nodes}
    assert not [line for line in graph.lines if "koku" in (line.edge.source, line.edge.target)]


def test_what_is_sent_to_lies_to_the_right_and_a_circle_ends():
    edges = [edge for edge in edges_of(ROWS) if edge.topic]
    columns = columns_of((row.name for row in ROWS), edges)
    assert all(columns[edge.source] < columns[edge.target] for edge in edges)
    around = [replace(edges[0], source="a", target="b"), replace(edges[0], source="b", target="a")]
    assert set(columns_of("ab", around)) == {"a", "b"}


def test_of_two_reports_the_worse_counts():
    well: Any = {"koku": {"kafka": None}}
    ill: Any = {"koku": {"kafka": "does not answer"}, "ols": {}}
    for reports in ([well, ill], [ill, well]):
        states = states_of(reports)
        assert (states["koku"].state, states["koku"].problems) == (HELD, ["kafka: does not answer"])
        assert states["ols"].state == WELL
