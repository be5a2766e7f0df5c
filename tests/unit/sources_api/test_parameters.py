from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.web.pages import page_links
from headrace_services.sources_api.models import APPLICATIONS, ENDPOINTS, LISTED, SOURCES, Resource
from headrace_services.sources_api.parameters import Listing, listing
from headrace_services.sources_api.refusals import Invalid


def read(*query: tuple[str, str]) -> Listing:
    return listing(query, SOURCES)


def test_without_parameters_it_is_the_first_hundred_by_id() -> None:
    found = read()
    assert (found.where.text, found.order, found.limit, found.offset) == ("true", "id asc", 100, 0)


@pytest.mark.parametrize(
    ("query", "where", "arguments"),
    [
        (("filter[name]", "a"), '"name" = any($1)', [["a"]]),
        (("filter[source_type_id]", "7"), '"source_type_id" = any($1)', [[7]]),
        (("name", "a"), '"name" = any($1)', [["a"]]),
        (("filter[name][eq_i]", "A"), 'lower("name") = lower($1::text)', ["A"]),
        (("filter[name][contains]", "50%_\\"), '"name" like $1', ["%50\\%\\_\\\\%"]),
        (("filter[name][starts_with_i]", "a"), '"name" ilike $1', ["a%"]),
        (("filter[id][gte]", "3"), '"id" >= $1', [3]),
        (("filter[version][nil]", "whatever"), '"version" is null', []),
        (
            ("filter[source_type][name][ends_with]", "x"),
            'source_type_id in (select id from source_types where "name" like $1)',
            ["%x"],
        ),
    ],
)
def test_a_filter_is_a_condition_with_its_values_as_arguments(
    query: tuple[str, str], where: str, arguments: list[object]
) -> None:
    found = read(query)
    assert (found.where.text, found.where.arguments) == (where, arguments)


def test_repeated_values_are_any_of_them_and_other_filters_all() -> None:
    found = read(("filter[name]", "a"), ("filter[name]", "b"), ("filter[uid][not_eq]", "c"))
    assert found.where.text == '"name" = any($1) and "uid" <> $2'
    assert found.where.arguments == [["a", "b"], "c"]


def test_an_order_ends_with_the_id() -> None:
    assert read(("sort_by", "name:desc")).order == '"name" desc, id asc'
    assert read(("sort_by", "name,created_at desc")).order == '"name" asc, "created_at" desc, id asc'


@given(name=st.text(max_size=30), value=st.text(max_size=30), resource=st.sampled_from(LISTED))
def test_what_is_sent_reaches_sql_as_an_argument_only(name: str, value: str, resource: Resource) -> None:
    # No condition of ours has a quote.
    for key in (f"{name}'", f"filter[name][{name}'", "name", "filter[name][contains]", f"filter[{name}]"):
        with suppress(Invalid):
            found = listing([(key, f"{value}'")], resource)
            assert "'" not in found.where.text
            assert any("'" in str(argument) for argument in found.where.arguments)


def test_related_fields_are_known_where_they_belong() -> None:
    assert "application_types" in listing([("filter[application_type][name]", "a")], APPLICATIONS).where.text
    for resource in (SOURCES, ENDPOINTS):
        with pytest.raises(Invalid):
            listing([("filter[application_type][name]", "a")], resource)


@given(count=st.integers(0, 500), limit=st.integers(1, 50), offset=st.integers(0, 600))
def test_links_name_pages_that_are_there(count: int, limit: int, offset: int) -> None:
    query = [("name", "a b"), ("limit", "x")]
    found = page_links("/p", query, count=count, limit=limit, offset=offset, previous="prev")
    offsets = {name: int(link.rpartition("=")[2]) for name, link in found.items()}
    assert all(link.startswith(f"/p?name=a+b&limit={limit}&offset=") for link in found.values())
    assert offsets["first"] == 0
    assert offsets["last"] % limit == 0
    assert offsets["last"] < max(count, 1) <= offsets["last"] + limit
    assert ("prev" in found) == (offset > 0)
    assert ("next" in found) == (offset + limit < count)
    assert offsets.get("next", offset + limit) == offset + limit
