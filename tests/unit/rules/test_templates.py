from typing import Any

import pytest

from headrace.rules.templates import fill

DETAILS: dict[str, Any] = {
    "count": 2,
    "nodes": [{"name": "a", "labels": ["x", "y"]}, {"name": "b", "labels": []}],
    "nothing": [],
    "version": "4.17",
    "is_bad": True,
    "odd-name": "odd",
    "inner": {"name": "deep"},
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("no template", "no template"),
        ("{{=pydata.count}} of {{= pydata.inner.name }}", "2 of deep"),
        ("{{=pydata['odd-name']}}{{=pydata.nodes[1].name}}{{!pydata.version}}", "oddb4.17"),
        ("{{~pydata.nodes :node}}- {{=node.name}}\n{{~}}", "- a\n- b\n"),
        ("{{~pydata.nodes :node:n}}{{=n}}{{=node.name}}{{=pydata.count}}{{~}}", "0a21b2"),
        ("{{~pydata.nodes :node}}{{~node.labels :label}}{{=label}}{{~}};{{~}}", "xy;;"),
        ("{{?pydata.nothing.length}}some{{??}}none{{?}}", "none"),
        ("{{?pydata.nodes.length > 1}}many{{??pydata.nodes.length == 1}}one{{??}}none{{?}}", "many"),
        ("{{?pydata.version === '4.17'}}yes{{?}}{{?!pydata.is_bad}}no{{?}}", "yes"),
        ("a {{-=pydata.count-}} b", "a2b"),
        ("{{=pydata.missing}}{{=pydata.count.more}}{{~pydata.count :x}}x{{~}}", ""),
        ("{{=pydata.nodes[0].labels}}", "x, y"),
        # What is no path is not evaluated.
        ("{{=__import__('os').system('x')}}", ""),
        ("{{=pydata.__class__}}", ""),
        ("{{#def.other}}", "{{#def.other}}"),
        ("{{~pydata.nodes :node}}unended", "{{~pydata.nodes :node}}unended"),
        ("{{~}}", "{{~}}"),
        ("{{??}}", "{{??}}"),
    ],
)
def test_a_text_is_filled_with_a_hits_details(template: str, expected: str):
    assert fill(template, DETAILS) == expected


def test_details_of_an_upload_make_no_lines_and_no_endless_text():
    hostile = {"name": "a\nb\x1b[31m\u202e", "many": ["x" * 1000] * 1000}
    assert fill("- {{=pydata.name}}", hostile) == "- a b [31m "
    filled = fill("{{~pydata.many :one}}{{=one}}{{~}}", hostile)
    assert len(filled) <= (64 << 10) + 1
    assert filled.endswith("…")
    assert fill("{{=pydata.name}}", None) == ""
