from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import pytest_asyncio

from tests.integration.sources_api.harness import COST, V1, Sources

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORG = "org-of-lists"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def listed(sources: Sources) -> AsyncIterator[Sources]:
    """Five sources, `alpha` with an application that is available, `beta` with an endpoint."""
    alpha = await sources.source(ORG, "alpha", source_ref="ref-1", version="1")
    beta = await sources.source(ORG, "beta", source_ref="ref-2", version="2")
    await sources.source(ORG, "Gamma_x", source_ref="ref-3")
    await sources.source(ORG, "gamma%y", source_type_id=await sources.type_id("amazon"))
    await sources.source(ORG, "delta", source_ref="REF-1", version="10")
    application = await sources.application(ORG, alpha["id"])
    await sources.patch(f"applications/{application['id']}", ORG, {"availability_status": "available"})
    await sources.made("endpoints", ORG, source_id=beta["id"], port=6443, verify_ssl=False)
    yield sources


ALL = ["alpha", "beta", "Gamma_x", "gamma%y", "delta"]

FILTERS = [
    ("", ALL),
    ("filter[name]=beta", ["beta"]),
    ("name=beta", ["beta"]),
    ("filter[name][eq]=beta", ["beta"]),
    ("filter[name][]=beta&filter[name][]=alpha", ["alpha", "beta"]),
    ("filter[name]=beta&filter[name]=alpha", ["alpha", "beta"]),
    ("filter[name]=beta&filter[source_ref]=ref-1", []),
    ("filter[name]=", []),
    ("filter[name][eq_i]=GAMMA_X", ["Gamma_x"]),
    ("filter[name][not_eq]=beta&filter[name][not_eq]=alpha", ["Gamma_x", "gamma%y", "delta"]),
    ("filter[name][not_eq_i]=gamma_X", ["alpha", "beta", "gamma%y", "delta"]),
    ("filter[name][contains]=amma", ["Gamma_x", "gamma%y"]),
    ("filter[name][contains]=%25", ["gamma%y"]),
    ("filter[name][contains]=_", ["Gamma_x"]),
    ("filter[name][contains]=%5C", []),
    ("filter[name][contains_i]=GAMMA", ["Gamma_x", "gamma%y"]),
    ("filter[name][starts_with]=gamma", ["gamma%y"]),
    ("filter[name][starts_with_i]=gamma", ["Gamma_x", "gamma%y"]),
    ("filter[name][ends_with]=ta", ["beta", "delta"]),
    ("filter[name][ends_with_i]=TA", ["beta", "delta"]),
    ("filter[version][gt]=1", ["beta", "delta"]),
    ("filter[version][lte]=10", ["alpha", "delta"]),
    ("filter[version][nil]=", ["Gamma_x", "gamma%y"]),
    ("filter[version][not_nil]=true", ["alpha", "beta", "delta"]),
    ("filter[created_at][gte]=2020-01-01", ALL),
    ("filter[created_at][lt]=2020-01-01T00:00:00Z", []),
    ("filter[created_at][gt]=2020-01-01 00:00:00 UTC", ALL),
    ("filter[availability_status]=available", ["alpha"]),
    ("filter[last_available_at][not_nil]", ["alpha"]),
    ("filter[source_type][name]=amazon", ["gamma%y"]),
    ("filter[source_type][name][contains_i]=SHIFT", ["alpha", "beta", "Gamma_x", "delta"]),
    ("filter[source_type][category]=Cloud", ["gamma%y"]),
    ("filter[id][lt]=0", []),
    ("filter[id]=-9223372036854775808", []),
    ("sort_by=name:desc&filter[version][not_nil]", ["delta", "beta", "alpha"]),
    ("sort_by=name%20DESC&filter[version][not_nil]", ["delta", "beta", "alpha"]),
    ("sort_by=source_ref&filter[version][not_nil]&sort_by=id", ["delta", "alpha", "beta"]),
    ("sort_by=availability_status:asc,name:desc&filter[version][not_nil]", ["alpha", "delta", "beta"]),
    ("limit=2", ["alpha", "beta"]),
    ("limit=2&offset=3", ["gamma%y", "delta"]),
    ("offset=9", []),
]


async def test_sources_are_filtered_sorted_and_paged(listed: Sources) -> None:
    for query, names in FILTERS:
        answer = await listed.get(f"sources?{quote(query, safe='=&[]%')}", ORG)
        assert answer.status == 200, (query, answer.text)
        found = [item["name"] for item in answer.json["data"]]
        assert sorted(found) == sorted(names) if "sort_by" not in query else found == names, query
        if "limit" not in query and "offset" not in query:
            assert answer.json["meta"] == {"count": len(names), "limit": 100, "offset": 0}


BAD = [
    ("limit=0", "limit: got '0', expected a whole number from 1"),
    ("limit=-1", "limit"),
    ("limit=ten", "limit"),
    ("limit=", "limit"),
    ("limit=1.0", "limit"),
    ("offset=-1", "offset"),
    ("offset=x", "offset"),
    ("offset=99999999999999999999", "offset"),
    ("sort_by=password", "sort_by: got 'password', expected a field of sources"),
    ("sort_by=tenant_id", "sort_by"),
    ("sort_by=name:up", "sort_by"),
    ("sort_by=name;drop", "sort_by"),
    ("sort_by=", "sort_by"),
    ("filter[tenant_id]=1", "'filter[tenant_id]' is not a filter of sources"),
    ("tenant_id=1", "'tenant_id' is not a filter of sources"),
    ("colour=red", "'colour' is not a filter of sources"),
    ("filter=red", "is not a filter"),
    ("filter[]=red", "is not a filter"),
    ("filter[name=red", "is not a filter"),
    ("filter[name][eq][x]=1", "is not a filter"),
    ("filter[name][like]=a", "cannot be filtered with 'like'"),
    ("filter[name' or 1=1]=a", "is not a filter"),
    ("filter[application_type][name]=a", "is not a filter"),
    ("filter[source_type][password]=a", "is not a filter of source_types"),
    ("filter[source_type]=openshift", "is not a filter"),
    ("filter[id]=x", "filter[id]: got 'x', expected a whole number"),
    ("filter[id]=9223372036854775808", "filter[id]"),
    ("filter[id][contains]=1", "id cannot be filtered with 'contains'"),
    ("filter[created_at]=yesterday", "expected a time such as"),
    ("filter[created_at]=0001-01-01T00:00:00%2B14:00", "expected a time such as"),
    ("filter[name]=%00", "contains a NUL character"),
    ("&".join(["name=a"] * 201), "more than 200 query parameters"),
]


@pytest.mark.parametrize(
    "path", ["sources", "source_types/{openshift}/sources", "application_types/{cost}/sources"]
)
async def test_parameters_that_cannot_be_used_are_refused_with_the_reason(listed: Sources, path: str) -> None:
    whole = path.format(openshift=await listed.type_id("openshift"), cost=await listed.type_id(COST))
    for query, reason in BAD:
        answer = await listed.get(f"{whole}?{quote(query, safe='=&[]%;')}", ORG)
        assert answer.status == 400, query
        assert answer.detail.startswith("bad request: "), query
        assert reason in answer.detail, query


OTHERS = [
    ("applications?filter[application_type][name]=/insights/platform/cost-management", 1),
    ("applications?filter[application_type][display_name][starts_with]=RHEL", 0),
    ("applications?filter[extra][nil]", 1),
    ("applications?filter[extra][contains]=x", 0),
    ("endpoints?filter[port]=6443", 1),
    ("endpoints?filter[port][gt]=6443", 0),
    ("endpoints?filter[default]=true", 1),
    ("endpoints?verify_ssl=true", 0),
    ("endpoints?filter[role]=", 1),
    ("authentications?filter[resource_type]=Source", 0),
    ("source_types?filter[name]=openshift", 1),
    ("source_types?filter[vendor][starts_with_i]=red", 1),
    ("application_types?filter[supported_source_types][contains]=openshift", 1),
]


async def test_other_lists_are_filtered_too(listed: Sources) -> None:
    for path, count in OTHERS:
        answer = await listed.get(path, ORG)
        assert answer.status == 200, (path, answer.text)
        assert answer.json["meta"]["count"] == len(answer.json["data"]) == count, path
    for query in (
        "port=x",
        "port=2147483648",
        "default=maybe",
        "filter[default][gt]=true",
        "filter[port][contains]=1",
    ):
        assert (await listed.get(f"endpoints?{query}", ORG)).status == 400, query


async def test_links_lead_through_all_pages_and_back(listed: Sources) -> None:
    path = f"{V1}/sources?limit=2&filter[name][not_eq]=beta&sort_by=name:desc"
    seen, visited = [], []
    while path:
        answer = await listed.get(path, ORG)
        visited.append(answer.json["meta"]["offset"])
        seen += [item["name"] for item in answer.json["data"]]
        links = answer.json["links"]
        last, path = path, links.get("next")
    assert visited == [0, 2]
    assert sorted(seen) == sorted(set(ALL) - {"beta"})
    assert dict(parse_qsl(urlsplit(links["last"]).query)) == {
        "filter[name][not_eq]": "beta",
        "sort_by": "name:desc",
        "limit": "2",
        "offset": "2",
    }
    assert links["last"] == last
    assert links["prev"] == links["first"]
    assert (await listed.get(links["first"], ORG)).json["meta"]["offset"] == 0


async def test_a_page_has_at_most_a_thousand_and_says_so(listed: Sources) -> None:
    answer = await listed.get("sources?limit=100000", ORG)
    assert answer.json["meta"] == {"count": 5, "limit": 1000, "offset": 0}
