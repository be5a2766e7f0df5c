import pytest

from headrace.web.errors import Refusal
from headrace_services.results_aggregator.parameters import (
    Asked,
    Rule,
    checked_clusters,
    read_path,
    why_no_uuid,
)
from headrace_services.results_aggregator.refusals import invalid

BAD_RULE = "invalid rule ID, it must contain only from latin characters, number, underscores or dots"
BAD_SELECTOR = "invalid rule ID, it must contain only rule ID and error key separated by |"
NO_SELECTOR = "Param rule_selector is not a valid rule selector (plugin_name|error_key)"
CLUSTER = "34c3ecc5-624a-49a5-bab8-4fdc5e51a266"


def test_a_rule_has_two_spellings_and_one_id():
    for fqdn in ("a.b", "a.b.report"):
        rule = Rule(fqdn, "K")
        assert rule.spellings == ["a.b", "a.b.report"]
        assert rule.rule_id == "a.b|K"


def test_a_path_is_read_into_plain_values():
    values = {
        "org_id": "4294967295",
        "cluster": CLUSTER.upper(),
        "user_id": " u ",
        "rule_selector": "a.b|K_1",
    }
    assert read_path(values, 7) == Asked(
        caller=7, org_id=4294967295, cluster=CLUSTER, user_id="u", rule_id="a.b", error_key="K_1"
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "org_id",
            "-1",
            "Error during parsing param 'org_id' with value '-1'. Error: 'unsigned integer expected'",
        ),
        (
            "organization",
            "0",
            "Error during parsing param 'organization' with value '0'. Error: 'positive value expected'",
        ),
        (
            "org_id",
            "٣",
            "Error during parsing param 'org_id' with value '٣'. Error: 'unsigned integer expected'",
        ),
        (
            "cluster",
            "aaaa",
            "Error during parsing param 'cluster' with value 'aaaa'. Error: 'invalid UUID length: 4'",
        ),
        ("user_id", " ", "Missing required param from request: user_id"),
        (
            "rule_id",
            "rule id with spaces",
            f"Error during parsing param 'rule_id' with value 'rule id with spaces'. Error: '{BAD_RULE}'",
        ),
        (
            "rule_selector",
            "a",
            f"Error during parsing param 'rule_selector' with value 'a'. Error: '{NO_SELECTOR}'",
        ),
        (
            "rule_selector",
            "|K",
            f"Error during parsing param 'rule_selector' with value '|K'. Error: '{NO_SELECTOR}'",
        ),
        ("rule", "a", f"Error during parsing param 'rule_id' with value 'a'. Error: '{BAD_SELECTOR}'"),
    ],
)
def test_what_is_malformed_is_refused_in_upstreams_words(name: str, text: str, said: str):
    with pytest.raises(Refusal) as raised:
        read_path({name: text}, None)
    assert (raised.value.status, raised.value.reason) == (400, said)


def test_clusters_are_taken_once_each_in_their_order():
    other = CLUSTER.replace("34", "35")
    assert checked_clusters([other, CLUSTER, other.upper()]) == (other, CLUSTER)
    assert checked_clusters([CLUSTER] * 1000) == (CLUSTER,)


@pytest.mark.parametrize(
    "text", ["", CLUSTER[:-1] + "g", CLUSTER.replace("-", "0"), f"{CLUSTER}\n", "{" + CLUSTER]
)
def test_only_a_uuid_in_its_usual_form_is_a_cluster(text: str):
    assert why_no_uuid(text)


def test_a_long_value_is_shown_cut():
    text = invalid("message", "x" * 300, "long").reason
    assert text == f"Error during validating param 'message' with value '{'x' * 64}...'. Error: 'long'"
