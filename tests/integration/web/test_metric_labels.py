"""Whatever strangers make up, what is exposed has few series: of every metric of every service in one process."""

import asyncio
import io
from collections.abc import Iterator

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from tests.integration.web.conftest import Everything
from tests.integration.web.test_hostile_requests import filled

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROWN_BYTES = 300_000
MADE_UP = "madeup"
MADE_UP_WORDS = 600


def requests(
    everything: Everything, numbers: range
) -> Iterator[tuple[str, str, dict[str, str], bytes | None]]:
    """Method, URL, headers, body: each operation of each document with a value of its own everywhere."""
    operations = everything.operations
    for number in numbers:
        word = f"{MADE_UP}{number}"
        service, method, path, _ = operations[number % len(operations)]
        headers = {
            "User-Agent": f"insights-client/{word} Core {word}",
            "Content-Type": f"application/{word}",
            "x-rh-insights-request-id": word,
        }
        base = everything.urls[service]
        body = (
            None
            if method == "GET"
            else f'{{"{word}":"{word}","provider":"{word}","model":"{word}"}}'.encode()
        )
        yield method, f"{base}{filled(path)}?{word}={word}", headers, body
        yield "GET", f"{base}/{word}/{word}", headers, None
        yield word.upper(), f"{base}{filled(path)}", headers, None
        upload = (
            f'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
            f"Content-Type: application/vnd.redhat.{word}.{word}\r\n\r\n{word}\r\n--b--\r\n"
        )
        yield (
            "POST",
            everything.urls["ingress"] + "/api/ingress/v1/upload",
            headers | {"Content-Type": "multipart/form-data; boundary=b"},
            upload.encode(),
        )


async def throw(everything: Everything, numbers: range) -> None:
    at_once = asyncio.Semaphore(16)

    async def send(method: str, url: str, headers: dict[str, str], body: bytes | None) -> None:
        async with at_once:
            data = None if body is None else io.BytesIO(body)
            async with everything.session.request(
                method, URL(url, encoded=True), headers=headers, data=data, allow_redirects=False
            ) as response:
                await response.read()

    async with asyncio.TaskGroup() as group:
        for request in requests(everything, numbers):
            group.create_task(send(*request))


async def exposed(everything: Everything) -> tuple[int, int, dict[str, int]]:
    """Bytes, series, and the made-up series of each metric."""
    async with aiohttp.ClientSession() as session, session.get(f"{everything.admin_url}/metrics") as response:
        text = await response.text()
    families = [*text_string_to_metric_families(text)]
    made_up = {
        family.name: sum(MADE_UP in " ".join(sample.labels.values()).lower() for sample in family.samples)
        for family in families
    }
    series = sum(len(family.samples) for family in families)
    return len(text), series, {name: count for name, count in made_up.items() if count}


async def test_made_up_values_of_every_input_do_not_make_the_exposition_grow(everything: Everything):
    # What this process had exposed before is other tests'.
    size_before, *_ = await exposed(everything)
    await throw(everything, range(MADE_UP_WORDS))
    _, series, made_up = await exposed(everything)
    await throw(everything, range(MADE_UP_WORDS, 2 * MADE_UP_WORDS))
    size, series_after, made_up_after = await exposed(everything)
    assert made_up_after == made_up
    # Other tests of the session send to the same topics: what is theirs is a few series, not one for each word.
    assert series_after - series < MADE_UP_WORDS / 2
    assert size - size_before < GROWN_BYTES
    # Versions of insights-client are labels, up to fifty.
    assert {name.partition("_")[0] for name in made_up} <= {"ingress"}
