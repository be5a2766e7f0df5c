"""One declaration of an operation makes its route, the reading of its parameters, and its description."""

import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

import headrace_services
from headrace.web.operations import Answer, Body, Dialect, Header, Operation, Operations, Routing, summary_of
from headrace.web.parameters import BadParameter, Choice, Custom, Integer, Parameter, Text
from headrace.web.schemas import BINARY, BOOLEAN, OBJECT, TEXT, closed, nullable, record

PAGE = Parameter("page", Integer(0, 9), 0)
WORD = Parameter("word", Choice(("a", "b")), "a", "one of two")
NAME = Parameter("name", Text(min_characters=1, max_bytes=4), "", is_required=True)
REST = Parameter("rest", Text(), "", where="path", is_rest=True)


class Sent(BaseModel):
    """A body."""

    text: str


async def answer(_request: web.Request) -> web.Response:
    """What there is.

    Whatever that is.
    """
    return web.Response()


def operations(**changes: Any) -> Operations:
    dialect = Dialect(
        title="Things",
        version="1",
        refusals={400: "bad", 404: "none", 503: "away"},
        error=record(message=TEXT),
        security={"identity": {"type": "apiKey", "in": "header", "name": "x-rh-identity"}},
        **changes,
    )
    return Operations(
        dialect,
        [
            Operation("GET", "/things/{rest}", answer, "Things", Answer(TEXT), (404, 400), (REST, PAGE)),
            Operation("POST", "/things", answer, "New", Answer(status=204), body=Body(Sent), name="create"),
        ],
    )


def routes(made: Operations) -> set[tuple[str, str]]:
    app = web.Application()
    made.add_to(app)
    return {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}


def test_every_prefix_has_every_route_and_the_document():
    assert routes(operations(prefixes=("/v1", "/v2"))) == {
        (method, f"{prefix}{path}")
        for prefix in ("/v1", "/v2")
        for method, path in (
            ("GET", "/things/{rest}"),
            ("HEAD", "/things/{rest}"),
            ("POST", "/things"),
            ("GET", "/openapi.json"),
            ("HEAD", "/openapi.json"),
        )
    }


def test_a_slash_at_the_end_says_nothing_where_the_dialect_has_it_so():
    assert ("POST", "/things/") in routes(operations(takes_slash=True))
    assert ("POST", "/things/") not in routes(operations())


def test_a_path_of_a_slash_alone_has_the_same_two_spellings():
    spellings = Operations(
        Dialect("T", "1", {503: "away"}, TEXT, prefixes=("/v1",), takes_slash=True),
        [Operation("GET", "/", answer, "Main", Answer())],
    )
    assert {("GET", "/v1"), ("GET", "/v1/")} <= routes(spellings)
    assert ("GET", "/v1//") not in routes(spellings)


def test_operations_that_no_document_describes_are_routed_alike():
    app = web.Application()
    probe = Operation("GET", "/", answer, "Main", Answer())
    Routing(prefixes=("", "/v1"), takes_slash=True, answers_head=False).route(app, [probe])
    found = [(route.method, route.resource.canonical) for route in app.router.routes() if route.resource]
    assert found == [("GET", "/"), ("GET", "/v1"), ("GET", "/v1/")]


def test_services_route_and_refuse_in_the_one_way():
    """By `Operation` and `Refusal`: what does it by hand is in no document, or answers in another form.

    To lead elsewhere is no refusal.
    """
    by_hand = re.compile(
        r"router\.add_(?:get|post|put|patch|delete|head)\(|raise web\.HTTP(?!Found|SeeOther)"
    )
    root = Path(headrace_services.__file__).parent
    found = {
        str(path.relative_to(root)) for path in root.rglob("*.py") if by_hand.search(path.read_text("utf-8"))
    }
    # The answer to probes of a `config.yaml` is text on every path.
    assert found == {"rules_engine/config_yaml/wiring.py"}


def test_an_api_may_leave_head_unanswered():
    assert {method for method, _ in routes(operations(answers_head=False))} == {"GET", "POST"}


def test_a_handlers_docstring_may_be_the_summary():
    assert summary_of(answer) == "What there is"
    assert not summary_of(lambda: None)


def test_a_status_may_have_a_form_of_its_own():
    form = record(cause=TEXT)
    responses = operations(errors={404: form}).document["paths"]["/things/{rest}"]["get"]["responses"]
    schemas = {status: found.get("content", {}) for status, found in responses.items()}
    assert schemas["404"]["application/json"]["schema"] == form
    assert schemas["400"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


def test_an_api_may_read_values_in_its_own_way():
    number = Parameter("number", Custom({"type": "integer"}, int), {}, where="path")
    assert number.read({"number": "3"}) == 3
    assert number.document["schema"] == {"type": "integer"}
    with pytest.raises(BadParameter, match="number: invalid literal"):
        number.read({"number": "x"})


def test_the_document_may_have_a_name_of_its_own():
    document = operations(document_name="getOpenapi").document
    assert document["paths"]["/openapi.json"]["get"]["operationId"] == "getOpenapi"


def test_the_rest_of_a_path_may_hold_slashes():
    app = web.Application()
    operations().add_to(app)
    patterns = [route.resource.get_info().get("pattern") for route in app.router.routes() if route.resource]
    assert any(pattern is not None and pattern.fullmatch("/things/a/b") for pattern in patterns)


def test_a_document_says_what_is_asked_answered_and_refused():
    document = operations().document
    get = document["paths"]["/things/{rest}"]["get"]
    assert [(item["name"], item["in"], item["required"]) for item in get["parameters"]] == [
        ("rest", "path", True),
        ("page", "query", False),
    ]
    assert list(get["responses"]) == ["200", "400", "404", "503"]
    assert get["security"] == [{"identity": []}]
    post = document["paths"]["/things"]["post"]
    assert post["operationId"] == "create"
    assert post["responses"]["204"] == {"description": "New"}
    assert post["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Sent"
    }
    assert document["components"]["schemas"].keys() == {"Sent", "Error"}
    assert document["paths"]["/openapi.json"]["get"]["security"] == []


def test_what_all_answers_have_in_common_is_said_once():
    document = operations(
        error_media_type="text/plain",
        refusals_to_all=(400,),
        parameters=(Parameter("trace", Text(), "", where="header"),),
        headers=(Header("Trace", TEXT, "of this request"), Header("Retry-After", TEXT, "seconds", (503,))),
    ).document
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["parameters"][0]["name"] == "trace"
            responses = operation["responses"]
            assert list(responses["400"]["content"]) == ["text/plain"]
            assert all("Trace" in response["headers"] for response in responses.values())
            with_retry = [status for status, found in responses.items() if "Retry-After" in found["headers"]]
            assert with_retry == ([] if path == "/openapi.json" else ["503"])


def test_an_operation_may_have_several_answers_and_take_several_forms():
    parts = record((), file=BINARY)
    upload = Operation(
        "POST",
        "/upload",
        answer,
        "Upload",
        Answer(TEXT, 201, description="stored"),
        body=Body(
            parts, "multipart/form-data", also={"application/json": OBJECT}, part_types={"file": "text/x"}
        ),
        description="At length.",
        more_answers=(Answer(TEXT, 202),),
    )
    made = Operations(Dialect("Things", "1", {503: "away"}, TEXT), [upload])
    described = made.document["paths"]["/upload"]["post"]
    assert [(status, found["description"]) for status, found in described["responses"].items()] == [
        ("201", "stored"),
        ("202", "Upload"),
        ("503", "away"),
    ]
    assert described["description"] == "At length."
    assert described["requestBody"]["content"] == {
        "multipart/form-data": {"schema": parts, "encoding": {"file": {"contentType": "text/x"}}},
        "application/json": {"schema": OBJECT},
    }


def test_parameters_are_read_as_they_are_described():
    assert PAGE.read({}) == PAGE.read({"page": ""}) == 0
    assert PAGE.read({"page": "9"}) == 9
    assert WORD.read({"word": "b"}) == "b"
    assert NAME.read({"name": "abcd"}) == "abcd"
    assert PAGE.document["schema"] == {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 9, "default": 0},
            {"type": "string", "maxLength": 0},
        ]
    }
    assert NAME.document["required"] is True
    assert WORD.document["schema"] == {"type": "string", "enum": ["a", "b", ""], "default": "a"}


def test_a_parameter_may_take_several_values():
    assert Parameter("word", Choice(("a", "b")), "", max_values=3).document["schema"] == {
        "type": "array",
        "items": {"type": "string", "enum": ["a", "b", ""]},
        "maxItems": 3,
    }


def test_a_parameter_without_a_value_may_be_one_that_cannot_be_used():
    word = Parameter("word", Choice(("a", "b")), "a", takes_empty=True)
    assert word.read({}) == "a"
    assert word.document["schema"] == {"type": "string", "enum": ["a", "b"], "default": "a"}
    with pytest.raises(BadParameter, match=r"^word: got '', must be one of a, b$"):
        word.read({"word": ""})


def test_a_kind_may_refuse_in_the_words_of_its_api():
    def even(text: str) -> int:
        if int(text) % 2:
            raise BadParameter("not even")
        return int(text)

    number = Parameter("number", Custom({"type": "integer"}, even), 4)
    assert number.document["schema"]["anyOf"][0] == {"type": "integer", "default": 4}
    # What it is in one API's document says nothing of another parameter of its kind.
    assert number.kind.schema == {"type": "integer"}
    assert number.read({"number": "2"}) == 2
    with pytest.raises(BadParameter, match=r"^not even$"):
        number.read({"number": "1"})


def test_a_default_is_its_parameters_alone():
    flags = [Parameter(name, Custom(BOOLEAN, bool), default) for name, default in (("a", True), ("b", False))]
    assert [flag.document["schema"]["anyOf"][0]["default"] for flag in flags] == [True, False]
    assert BOOLEAN == {"type": "boolean"}


def test_an_empty_value_may_be_a_value():
    page = Parameter("page", Integer(0, 9), 0, takes_empty=True)
    word = Parameter("word", Custom(TEXT, str.upper), None, takes_empty=True)
    assert (page.read({}), word.read({})) == (0, None)
    assert (word.read({"word": ""}), word.read({"word": "b"})) == ("", "B")
    assert page.document["schema"] == {"type": "integer", "minimum": 0, "maximum": 9, "default": 0}
    with pytest.raises(BadParameter, match="page: got ''"):
        page.read({"page": ""})


@pytest.mark.parametrize(
    ("parameter", "text", "reason"),
    [
        (PAGE, "10", "page: got '10', must be a whole number from 0 to 9"),
        (PAGE, "٣", "page: got '٣', must be"),
        (PAGE, "1e1", "page: got"),
        (WORD, "c", "word: got 'c', must be one of a, b"),
        (NAME, "", "name: must not be empty"),
        (NAME, "äöü", "name: got 'äöü', must have at most 4 bytes"),
        (NAME, "a\0", "name: must not contain a NUL character"),
        (NAME, "\ud800" * 5, "name: got .*, must have at most 4 bytes"),
        (WORD, "x" * 1000, f"word: got '{'x' * 64}', must"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(parameter: Parameter[Any], text: str, reason: str):
    with pytest.raises(BadParameter, match=reason if ".*" in reason else re.escape(reason)):
        parameter.read({parameter.name: text})


def test_schemas_say_what_they_are_made_of():
    assert nullable(TEXT) == {"type": ["string", "null"]}
    assert closed(record((), a=TEXT)) == {
        "type": "object",
        "properties": {"a": TEXT},
        "additionalProperties": False,
    }
