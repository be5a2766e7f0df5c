from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from headrace.web.pages import page_links

PATH = "/api/ros/v1/recommendations"

counts = st.integers(0, 60)
limits = st.integers(1, 15)
offsets = st.integers(0, 80)
queries = st.lists(
    st.tuples(
        st.sampled_from(["project", "filter[exact:cluster]", "order_by", "x y&="]), st.text(max_size=5)
    ),
    max_size=4,
)


def at(link: str) -> int:
    return int(dict(parse_qsl(urlsplit(link).query))["offset"])


@given(counts, limits, offsets)
def test_links_lead_where_they_say(count: int, limit: int, offset: int):
    found = page_links(PATH, [], count=count, limit=limit, offset=offset)
    rows = list(range(count))
    page = rows[offset : offset + limit]
    assert at(found["first"]) == 0
    last = rows[at(found["last"]) :][:limit]
    assert last[-1:] == rows[-1:]
    assert bool(last) == bool(rows)
    # A next page is there exactly when rows follow, and begins where this one ends.
    following = rows[offset + limit :]
    assert ("next" in found) == bool(following)
    if following:
        assert rows[at(found["next"])] == offset + limit
    # A previous page is there on every page but the first, and has rows wherever there are any before.
    assert ("previous" in found) == (offset > 0)
    if offset:
        before = rows[at(found["previous"]) :][:limit]
        assert bool(before) == bool(rows)
        assert at(found["previous"]) < offset
        assert not page or at(found["previous"]) == max(0, offset - limit)


@given(counts, limits)
def test_following_next_from_the_first_page_sees_every_row_once_and_ends_at_the_last(count: int, limit: int):
    rows, seen = list(range(count)), []
    link = page_links(PATH, [], count=count, limit=limit, offset=0)["first"]
    while link:
        offset = at(link)
        seen += rows[offset : offset + limit]
        found = page_links(PATH, [], count=count, limit=limit, offset=offset)
        assert at(found["last"]) >= offset
        if "next" not in found:
            assert offset == at(found["last"])
        link = found.get("next", "")
    assert seen == rows


@given(counts, st.sampled_from([None, 0, 7]), offsets, queries)
def test_the_query_is_kept_and_the_page_is_last(
    count: int, limit: int | None, offset: int, query: list[tuple[str, str]]
):
    asked = [*query, ("limit", "3"), ("offset", "-4")]
    for link in page_links(PATH, asked, count=count, limit=limit, offset=offset).values():
        parts = urlsplit(link)
        assert parts.path == PATH
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        assert pairs[:-2] == query
        assert [name for name, _ in pairs[-2:]] == ["limit", "offset"]
        assert pairs[-2][1] == ("-1" if limit is None else str(limit))


@given(counts, st.sampled_from([None, 0]), offsets)
def test_without_pages_there_is_no_next_one(count: int, limit: int | None, offset: int):
    found = page_links(PATH, [], count=count, limit=limit, offset=offset)
    assert set(found) == {"first", "last"}
    assert found["first"] == found["last"]
