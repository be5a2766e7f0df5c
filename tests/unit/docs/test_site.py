"""The site's pages: all of them in the navigation, with links that lead to pages."""

import re
import tomllib
from pathlib import Path

import pytest

from headrace_services.registry import SERVICES

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def site():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "deploy"))
        import pages

        yield pages


@pytest.fixture(scope="module")
def texts(site):
    return site.pages()


def named(nav):
    """The pages of a navigation."""
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from [value] if isinstance(value, str) else named(value)


def test_every_page_is_in_the_navigation_once(texts):
    nav = tomllib.loads((ROOT / "deploy" / "site.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert sorted(named(nav)) == sorted(map(str, texts)), "name it in deploy/site.toml"


def test_links_between_pages_lead_to_pages_wherever_they_are_written(site, texts):
    broken = [
        f"{path}: {link}"
        for path, text in texts.items()
        for link in LINK.findall(site.FENCE.sub("", text))
        if ":" not in link and not link.startswith("#")
        if Path(*_normal((path.parent / link.partition("#")[0]).parts)) not in texts
        and not (ROOT / "docs" / path.parent / link).exists()
    ]
    assert broken == []


def _normal(parts):
    found = []
    for part in parts:
        found = found[:-1] if part == ".." else [*found, part]
    return found


def test_links_from_the_readme_lead_into_the_site(texts):
    readme = texts[Path("index.md")]
    assert "](architecture.md)" in readme
    assert "](docs/" not in readme


def test_what_a_browser_would_fetch_elsewhere_is_found(site, tmp_path):
    (tmp_path / "page.html").write_text(
        '<a href="https://example.com">a link</a><script src="https://cdn.example.com/x.js"></script>'
        "<link rel=stylesheet href=//fonts.example.com/css>"
    )
    (tmp_path / "own.html").write_text('<script src="own.js"></script><img src="flow.svg">')
    assert len(site.strangers(tmp_path)) == 2


def test_no_page_has_a_block_that_a_browser_draws(texts):
    assert [path for path, text in texts.items() if "```mermaid" in text] == []


@pytest.mark.parametrize("row", [row for row in SERVICES if row.port is not None], ids=lambda row: row.name)
def test_every_http_api_has_a_page_with_its_operations(texts, row):
    page = texts[Path("api") / f"{row.name}.md"]
    assert re.search(r"^## (GET|POST) /", page, re.MULTILINE)
    assert row.openapi_path in page


def test_every_topic_has_a_section(texts):
    topics = {topic.name for row in SERVICES for topic in row.topics}
    assert topics <= set(re.findall(r"^## (\S+)$", texts[Path("topics.md")], re.MULTILINE))
