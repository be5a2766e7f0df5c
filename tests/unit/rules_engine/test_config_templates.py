"""Variables and types: the framework's table, case by case."""

import math

import pytest

from headrace_services.rules_engine.config_yaml.templates import (
    retyped,
    retyped_text,
    substituted,
    unset_variable,
)

SET = {"A": "value", "EMPTY": "", "lower": "small", "N": "007", "_X1": "under"}


def resolved(text, variables=SET):
    return retyped(substituted(text, variables))


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("$A", {}, "$A"),
        ("${A}", {}, "${A}"),
        ("${A:x}", {}, "x"),
        ("${A:x}", {"A": ""}, None),
        ("${A:}", {}, None),
        ("$A", SET, "value"),
        ("${A}", SET, "value"),
        ("${A:x}", SET, "value"),
        ("$lower", SET, "small"),
        ("$_X1", SET, "under"),
        ("a-$A-b-${A}", SET, "a-value-b-value"),
        ("$Ab", SET, "$Ab"),
        ("$1", SET, "$1"),
        ("${B:http://host:9000/x}", SET, "http://host:9000/x"),
        ("${B:a}b}", SET, "ab}"),
        ("${B:$A}", SET, "$A"),
        ("$$A", SET, "$A"),
        ("$$$A", SET, "$value"),
        ("${}", SET, "${}"),
        ("${A", SET, "${A"),
        ("100%", SET, "100%"),
        ("$", SET, "$"),
        ("", SET, None),
        ("${EMPTY}", SET, None),
        ("true", SET, True),
        ("FALSE", SET, False),
        ("${B:True}", SET, True),
        ("yes", SET, "yes"),
        ("12", SET, 12),
        ("${N}", SET, 7),
        ("1_000", SET, 1000),
        ("-1", SET, -1),
        ("1.5", SET, 1.5),
        ("1e3", SET, 1000.0),
        ("inf", SET, math.inf),
        (" 7 ", SET, 7),
        ("0x10", SET, "0x10"),
        ("1.2.3", SET, "1.2.3"),
    ],
)
def test_a_text_becomes_what_the_framework_makes_of_it(text, variables, expected):
    found = resolved(text, variables)
    assert (found, type(found)) == (expected, type(expected))


def test_nan_reads_as_a_number():
    found = retyped_text("nan")
    assert isinstance(found, float)
    assert math.isnan(found)


def test_variables_are_put_in_however_deep_and_never_into_keys():
    document = {"$A": ["$A", {"b": "$A", "c": 3, "d": None, "e": True}]}
    assert substituted(document, SET) == {"$A": ["value", {"b": "value", "c": 3, "d": None, "e": True}]}


def test_types_are_found_however_deep():
    assert retyped({"a": ["1", {"b": "true"}]}) == {"a": [1, {"b": True}]}


@pytest.mark.parametrize(
    ("text", "name"),
    [("$A", "A"), ("${A}", "A"), ("${A:x}", None), ("pa$word", None), ("$$A", None), ("plain", None)],
)
def test_only_a_whole_reference_names_a_variable_that_is_missing(text, name):
    assert unset_variable(text) == name
