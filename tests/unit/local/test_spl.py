import json
from datetime import UTC, datetime

import pytest

from headrace.local.simulators.spl import Event, SplError, parse
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
    return [event.shown(shaped=search.shaped) for event in events]


def numbers(text):
    return [row["n"] for row in found(f"{text} | fields n | fields - _*")]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ("index=main verb=create", "1"),
        ("verb=CREATE OR n=3", "13"),
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
        ("n>1 n<=2", "2"),
        ("verb IN (create, DEL*)", "1"),
        ("NOT verb IN (create)", "23"),
        # A word or a phrase anywhere in the text, whatever the case, but no part of a word.
        ("JANE", "23"),
        ("jan", ""),
        ("jan*", "23"),
        ('"deep" OR n=1', "12"),
        ("*", "123"),
        ("index=ma*", "123"),
        ("index=other", ""),
        ("missing!=2", ""),
    ],
)
def test_search_terms(terms, expected):
    assert "".join(numbers(f"search {terms}")) == expected


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
        ("1+n*2-1", ["2", "4", "6"]),
        ("7/2", ["3.5"] * 3),
        ("-n%2", ["-1", "0", "-1"]),
        ('if(n>1 AND n<3 OR verb=="Create","in","out")', ["in", "in", "out"]),
        ('if(verb IN ("Create","x"),1,0)', ["1", "0", "0"]),
        ('if(NOT isnull(flag) AND like(verb,"up%"),1,0)', ["0", "0", "1"]),
        ('replace(path,"^([^?]*)(.*)?","\\1")', ["a"]),
        ('replace(verb,"[aeiou]","*")', ["Cr**t*", "*pd*t*", "*pd*t*"]),
        ('spath(_raw,"tags{0}.k")', ["a"]),
        ('spath(_raw,"tags{}.v")', [["1", "2"]]),
        ('spath(text,"deep.er")', ["7"]),
        ("mvcount('tags{}.k')", ["2"]),
        ("mvjoin('tags{}.k',\"-\")", ["a-b"]),
        ("mvfilter('tags{}.v'>1)", ["2"]),
        ("mvindex('tags{}.v',0,1)", [["1", "2"]]),
        ("upper(substr(verb,1,2)).len(verb)", ["CR6", "UP6", "UP6"]),
        ('tonumber(n)+tonumber("a",16)', ["11", "12", "13"]),
        ("round(2.5)", ["3"] * 3),
        ('strftime(0,"%Y-%m-%dT%H:%M:%S.%3NZ")', ["1970-01-01T00:00:00.000Z"] * 3),
        ('strptime("2026-07-31","%Y-%m-%d")', ["1785456000"] * 3),
        ('nullif(verb,"update")', ["Create"]),
        ('json_extract(json_object("a",json_array(1,"b")),"a{1}")', ["b"] * 3),
        ("case(n>5,1)", []),
    ],
)
def test_expressions(expression, expected):
    rows = found(f"search n=* | eval x={expression} | fields x | fields - _*")
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
        ("where n>=2", "23"),
        ("where 'user.name'=\"jane\" | head limit=1", "2"),
        ("sort -verb, +n", "231"),
        ("sort - num(n)", "321"),
        ("dedup verb sortby -n", "31"),
        ("dedup 2 verb", "123"),
        ("dedup flag keepempty=true", "123"),
        ("tail 2", "32"),
        ("reverse", "321"),
        ('regex verb="^up"', "23"),
        ('regex verb!="^up"', "1"),
        ("spath input=text path=deep.er output=d | search d=7", "2"),
        ("spath input=text, path=deep.er output=d | where d==7", "2"),
        ("spath tags{}.v | search tags{}.v=2", "1"),
        ('eval m=split("x y"," ") | mvexpand m | where m="y"', "123"),
        ('makemv delim="?" path | where mvcount(path)=3', "3"),
        ("fillnull value=none flag | search flag=none", "12"),
        ("spath input=tags{}.k path=x output=y | search NOT y=*", "123"),
        ('spath path=tags{} output=t | mvexpand t | spath input=t | where k="b" AND v="2"', "1"),
        ("spath path=tags{} output=t | spath input=t path=v output=w | where mvcount(w)=2", "1"),
        ("replace up* WITH down* IN verb | search verb=downdate", "23"),
        ("eventstats max(n) as top | where n=top", "3"),
        ("streamstats count as c by verb | where c=2", "3"),
        ("rename user.* AS person.* | search person.name=jane", "23"),
        ('rex field=path "^(?<start>.)" | search start=a', "3"),
        ('rex field=path mode=sed "s/\\?/!/g" | search path="a!b!c"', "3"),
        # What is nothing is equal to nothing.
        ("where missing=missing", ""),
        ('where missing!="a"', ""),
    ],
)
def test_commands(commands, expected):
    assert "".join(numbers(f"search n=* | {commands}")) == expected


@pytest.mark.parametrize(
    ("commands", "rows"),
    [
        ("stats count", [{"count": "3"}]),
        ("search n=9 | stats count", [{"count": "0"}]),
        ("search n=9 | stats count BY verb", []),
        (
            "stats count, dc(user.name) AS people BY verb",
            [{"verb": "Create", "count": "1", "people": "1"}, {"verb": "update", "count": "2", "people": "1"}],
        ),
        ('stats count(eval(verb="update")) as u, sum(n), avg(n)', [{"u": "2", "sum(n)": "6", "avg(n)": "2"}]),
        ("stats values(n) list(verb)", [{"values(n)": ["1", "2", "3"], "list(verb)": ["Create", "update", "update"]}]),
        ("stats min(n) max(n) range(n) median(n) perc50(n)",
         [{"min(n)": "1", "max(n)": "3", "range(n)": "2", "median(n)": "2", "perc50(n)": "2"}]),
        # Of several values each has a group.
        ("stats count by tags{}.k", [{"tags{}.k": "a", "count": "1"}, {"tags{}.k": "b", "count": "1"}]),
        ("top limit=1 verb", [{"verb": "update", "count": "2", "percent": "66.666667"}]),
        ("rare limit=1 showperc=f verb", [{"verb": "Create", "count": "1"}]),
        ("table n flag | head 1", [{"n": "1"}]),
        # What begins with an underscore has to be named so.
        ("search n=2 | fields n user* | table *", [{"n": "2", "user.name": "jane"}]),
        ("search n=2 | fields n flag | fields - * | fields - _time | eval r=len(_raw)>0 | table r _*",
         [{"r": "True", "_raw": json.dumps(EVENTS[1])}]),
        ("sort -n | fields n, user.* | fields - _* | head 1", [{"n": "3", "user.name": "jane"}]),
        ("bin n span=2 | stats count by n", [{"n": "0", "count": "1"}, {"n": "2", "count": "2"}]),
    ],
)  # fmt: skip
def test_tables(commands, rows):
    assert found(f"search n=* | {commands}") == rows


def test_a_search_that_makes_its_own_events():
    assert found("| makeresults count=2 | eval a=1 | fields a | fields - _*") == [{"a": "1"}] * 2


def test_an_event_shows_what_all_have_and_what_was_added():
    (row,) = found('search n=1 | eval new="x"')
    assert (sorted(row), row["new"], row["_time"]) == (
        ["_raw", "_time", "index", "new"], "x", "1970-01-01T00:00:00.000+00:00",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n=1", "Unknown search command 'n'."),
        ("search n=1 | sendemail", "Unknown search command 'sendemail'."),
        ("| sendemail", "Unknown search command 'sendemail'."),
        ("stats count", "This command cannot be the first command in a search"),
        ("search n=1 | makeresults | makeresults", "must be the first command"),
        ("search n=1 | eval x=nothing(n)", "The 'nothing' function is unsupported or undefined."),
        ("search n=1 | eval x=if(n)", "The arguments to the 'if' function are invalid."),
        ("search n=1 | eval x=replace(n)", "The arguments to the 'replace' function are invalid."),
        ("search n=1 | eval n", "An expression must be assigned"),
        ("search (n=1", "Expected )."),
        ("search n=1 AND", "a term is missing"),
        ("search n=1 |", "Missing a search command before"),
        ("search n=1 | where (n=1", "Expected )."),
        ("search n=1 | where n=", "ends too soon"),
        ("search n=1 | where n=1 2", "The argument '2' is invalid."),
        ('search n="open', "Mismatched quotes"),
        ("search n=1 | head many", "The argument 'many' is invalid."),
        ("search n=1 | stats nothing(n)", "The argument 'nothing' is invalid."),
        ("search n=1 | rename n", "Usage: rename"),
        ('search n=1 | rex "("', "The regex '(' is invalid."),
        ('search n=1 | rex "x"', "does not extract anything"),
        ("search n=1 | dedup", "The argument is missing"),
        ("search n=1 | spath output=x", "You have specified an output but no path"),
    ],
)
def test_what_is_not_known_is_refused_in_splunks_words(text, message):
    with pytest.raises(SplError) as refused:
        parse(text)
    assert message in str(refused.value)


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
        ("-1d@d+2h", "2026-07-30T02:00:00"),
        ("07/30/2026:01:02:03", "2026-07-30T01:02:03"),
        ("2023-01-01T10:46:34.955712833Z", "2023-01-01T10:46:34"),
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
