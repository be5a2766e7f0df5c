import json
from datetime import UTC, datetime

import pytest

from headrace.local.simulators.spl import parse, result
from headrace.local.simulators.spl_functions import Event
from headrace.local.simulators.spl_tokens import SplError
from headrace.local.simulators.splunk_time import parse_time

EVENTS = [
    {
        "n": "1",
        "verb": "Create",
        "user": {"name": "system:x"},
        "tags": [{"k": "a", "v": "1"}, {"k": "b", "v": "2"}],
    },
    {"n": "2", "verb": "update", "user": {"name": "jane"}, "text": '{"deep":{"er":7}}', "none": None},
    {"n": "3", "verb": "update", "user": {"name": "jane"}, "flag": True, "path": "a?b?c"},
]


def found(text):
    search = parse(text)
    events = search.run(Event(json.dumps(event).encode()) for event in EVENTS)
    return [result(event, kept_fields=search.kept_fields) for event in events]


def numbers(text):
    return [row["n"] for row in found(f"{text} | fields n | fields - _*")]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ("index=main verb=create", "1"),
        ("search verb=CREATE OR n=3", "13"),
        ('"user.name"="system:*"', "1"),
        ('NOT "user.name"="system:*"', "23"),
        ('verb=update NOT n="2"', "3"),
        ("n IN (1, 3)", "13"),
        ("flag=true", "3"),
        ("none=*", ""),
        ('"tags{}.k"=b', "1"),
        # OR binds closer than standing side by side.
        ("verb=update n=1 OR n=2", "2"),
        ("(verb=create AND n=1) OR (verb=update AND n=3)", "13"),
        ("n!=2", "13"),
        ("missing!=2", ""),
    ],
)
def test_search_terms(terms, expected):
    assert "".join(numbers(terms)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'user.name'", ["system:x", "jane", "jane"]),
        ("if(isnull(flag),\"no\",'flag')", ["no", "no", "true"]),
        ("mvindex('tags{}.v',mvfind('tags{}.k',\"^b$\"))", ["2"]),
        ("mvindex('tags{}.v',-1)", ["2"]),
        ('json_extract(text,"deep.er")', ["7"]),
        (
            'json_object("u",\'user.name\',"t",missing)',
            ['{"u":"system:x","t":null}'] + ['{"u":"jane","t":null}'] * 2,
        ),
        ('mvindex(split(path,"?"),0)', ["a"]),
        ('case(n="1","one",like(verb,"up%"),"other")', ["one", "other", "other"]),
        ('n."-".verb', ["1-Create", "2-update", "3-update"]),
        ("coalesce(flag,n)", ["1", "2", "true"]),
    ],
)
def test_expressions(expression, expected):
    rows = found(f"n=* | eval x={expression} | fields x | fields - _*")
    assert [row["x"] for row in rows if row] == expected


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        # Unlike in the search command, case counts.
        ('where verb="update"', "23"),
        ('where verb="Update"', ""),
        ('where n="1" OR n="2" AND verb="update"', "12"),
        ('where NOT match(verb,"^up")', "1"),
        ("sort 0 - n", "321"),
        ("sort 2 n", "12"),
        ("sort n | dedup verb", "12"),
        ("dedup flag", "3"),
        ("head 1", "1"),
        ("search n=3", "3"),
        # What is nothing is equal to nothing.
        ("where missing=missing", ""),
        ('where missing!="a"', ""),
    ],
)
def test_commands(commands, expected):
    assert "".join(numbers(f"n=* | {commands}")) == expected


@pytest.mark.parametrize(
    "text",
    ["n=1 | sendemail", "n=1 | eval x=nothing(n)", "(n=1", "n=1 |", "n", "n=1 | where (n=1", 'n="open'],
)
def test_what_is_not_known_is_refused(text):
    with pytest.raises(SplError):
        parse(text)


NOW = datetime(2026, 7, 31, 10, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-07-31T10:20:30"),
        ("-4hours", "2026-07-31T06:20:30"),
        ("-0hours", "2026-07-31T10:20:30"),
        ("+1d", "2026-08-01T10:20:30"),
        ("-h", "2026-07-31T09:20:30"),
        ("@d", "2026-07-31T00:00:00"),
        ("-1d@d", "2026-07-30T00:00:00"),
        ("@w", "2026-07-26T00:00:00"),
        ("-90m@h", "2026-07-31T08:00:00"),
        ("2026-07-30T01:02:03Z", "2026-07-30T01:02:03"),
        ("2026-07-30T01:02:03+02:00", "2026-07-29T23:02:03"),
        ("1785000000", "2026-07-25T17:20:00"),
    ],
)
def test_times(text, expected):
    seconds = parse_time(text, NOW)
    assert seconds is not None
    assert datetime.fromtimestamp(seconds, UTC).isoformat()[:19] == expected


@pytest.mark.parametrize("text", ["-4fortnights", "yesterday", "@x"])
def test_times_that_are_none(text):
    with pytest.raises(ValueError, match=r"."):
        parse_time(text, NOW)
