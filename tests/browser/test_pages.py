"""Pages in a real browser: they look right, move by themselves, obey the keyboard, and load nothing from elsewhere."""

import os
from pathlib import Path
from typing import Any

import pytest

from headrace_services.console.events import STATUS
from tests.browser.conftest import REQUEST_ID
from tests.unit.console.made import CONTAINER_ID, DLQ, Console, status
from tests.waiting import eventually

PAGES = {
    "overview": "/", "payloads": "/payloads", "payload": f"/payloads/{REQUEST_ID}", "clusters": "/clusters",
    "cluster": "/clusters/c1", "upload": "/upload", "dead-letters": "/dead-letters",
    "dead-letter-group": "/dead-letters?group=g1", "dead-letter": f"/dead-letters/{DLQ}/0/3",
    "redrive": f"/redrive?letter={DLQ}:0:3", "topics": "/topics", "topic": "/topics/platform.upload.announce",
    "recommendations": "/recommendations", "recommendations-without": "/recommendations/without",
    "senders": "/senders", "recommendation": f"/recommendations/{CONTAINER_ID}",
}  # fmt: skip
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
AXE = Path(os.environ.get("HEADRACE_TEST_AXE", "dist/axe/node_modules/axe-core/axe.min.js"))
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


async def opened(browser: Any, console: Console, **terms: Any) -> tuple[Any, list[str]]:
    """A page, and what it complained of or loaded from elsewhere."""
    context = await browser.new_context(bypass_csp=terms.pop("bypass_csp", False), **terms)
    page = await context.new_page()
    page.set_default_timeout(60_000)
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda line: found.append(line.text) if line.type == "error" else None)
    page.on("request", lambda one: None if one.url.startswith(console.url) else found.append(one.url))
    return page, found


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
async def test_every_page_fits_its_width_and_loads_nothing_from_elsewhere(
    browser: Any, console: Console, shots: Path, width: int, scheme: str
):
    page, found = await opened(
        browser, console, viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    for name, path in PAGES.items():
        await page.goto(f"{console.url}/console{path}")
        await page.screenshot(path=shots / f"{name}-{width}-{scheme}.png", full_page=True)
        wide = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, name
    assert found == []


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_axe_finds_nothing(browser: Any, console: Console, scheme: str):
    if not AXE.exists():  # noqa: ASYNC240 -- nothing waits for it
        pytest.skip("axe-core is not installed: make test-browser")
    page, _ = await opened(browser, console, color_scheme=scheme, bypass_csp=True)
    broken = {}
    for name, path in PAGES.items():
        await page.goto(f"{console.url}/console{path}")
        await page.add_script_tag(path=AXE)
        result = await page.evaluate("tags => axe.run(document, {runOnly: tags})", WCAG)
        if result["violations"]:
            broken[name] = [
                (item["id"], [node["target"] for node in item["nodes"]][:3]) for item in result["violations"]
            ]
    assert broken == {}


async def test_a_payload_moves_on_by_itself_and_a_list_waits_for_who_reads_it(browser: Any, console: Console):
    page, found = await opened(browser, console)
    await page.goto(f"{console.url}/console/payloads/{REQUEST_ID}")
    await page.wait_for_selector("#live-state[data-state=live]")
    console.sources.statuses.append(status("ros-processor", "success", 9, "after the redrive"))
    console.hub.publish(STATUS, request_id=REQUEST_ID, org_id="1")
    await page.wait_for_selector("text=after the redrive")
    await page.goto(f"{console.url}/console/payloads")
    await page.wait_for_selector("#live-state[data-state=live]")
    await page.hover("table.payloads")
    console.sources.payloads.insert(0, console.sources.payloads[0] | {"id": 99, "request_id": "f" * 32})
    console.hub.publish(STATUS, request_id="f" * 32, org_id="1")
    await page.wait_for_selector("#new-rows:not([hidden])")
    assert await page.locator(f"text={'f' * 32}").count() == 0
    await page.click("#new-rows")
    await page.wait_for_selector(f"text={'f' * 32}")
    assert found == []


async def test_a_lost_connection_is_told_and_found_again(browser: Any, console: Console):
    page, _ = await opened(browser, console)
    await page.goto(f"{console.url}/console/payloads")
    await page.wait_for_selector("#live-state[data-state=live]")
    await console.hub.stop()
    await page.wait_for_selector("#live-state[data-state=away]")
    console.hub.is_closed = False
    await page.wait_for_selector("#live-state[data-state=live]")


async def test_the_keyboard_alone_can_redrive(browser: Any, console: Console):
    page, _ = await opened(browser, console)
    await page.goto(f"{console.url}/console/dead-letters?group=g1")

    async def reach(selector: str) -> None:
        for _ in range(60):
            await page.keyboard.press("Tab")
            if await page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"the keyboard does not reach {selector}")

    await reach("input[name=letter]")
    await page.keyboard.press("Space")
    await reach("main form button[type=submit]")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=Redrive 1 dead letter?")
    await reach("button.primary")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=1 dead letter put back")
    assert console.sources.redriven == [[(DLQ, 0, 0)]]


async def test_a_dropped_file_is_uploaded_and_its_payload_shown(browser: Any, console: Console):
    page, _ = await opened(browser, console)
    await page.goto(f"{console.url}/console/upload")
    file = {"name": "usage.csv", "mimeType": "text/csv", "buffer": b"a,b\n"}
    await page.set_input_files("#file", file)
    await page.click("form.card button[type=submit]")
    await eventually(lambda: "/console/payloads/" in page.url)
    assert console.sources.uploaded[0][1:] == ("application/vnd.redhat.hccm.tar+tgz", b"a,b\n")
    console.sources.refused = (415, "no service accepts it")
    await page.goto(f"{console.url}/console/upload")
    await page.set_input_files("#file", file)
    await page.click("form.card button[type=submit]")
    await page.wait_for_selector("text=ingress answered 415: no service accepts it")


async def test_pages_are_readable_without_javascript(browser: Any, console: Console):
    page, found = await opened(browser, console, java_script_enabled=False)
    for path in PAGES.values():
        await page.goto(f"{console.url}/console{path}")
        assert await page.locator("h1").count() == 1
    assert found == []
