"""The document's Test 1: after an installation attempt, is its payload at the data hosting service?"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from headrace.archives.assisted import read_metadata
from headrace.contracts.identity import Associate, Identity, encode_identity
from tests.engines import SessionEngines
from tests.integration.archiver.harness import running_archiver
from tests.integration.assisted_events.harness import open_sender
from tests.integration.ingress.harness import UPLOAD, open_ingress
from tests.service import url_of
from tests.waiting import eventually


async def test_test_1_the_payload_of_an_installation_attempt_is_at_the_endpoint(
    engines: SessionEngines, database_name: str, fresh: Callable[[str], str], record_property
) -> None:
    associate = {"x-rh-identity": encode_identity(Identity(type="Associate", associate=Associate()))}
    async with (
        open_ingress(engines.kafka, engines.s3, lenient=True) as ingress,
        running_archiver(engines, ingress, bucket=fresh("archives")) as archiver,
        open_sender(
            engines.postgres, database_name, DATA_UPLOAD_ENDPOINT=ingress.url + UPLOAD, DEPLOYMENT_TYPE="ACM"
        ) as sender,
        aiohttp.ClientSession(headers=associate) as session,
    ):

        async def archives(request_id: str) -> list[dict[str, Any]]:
            url = f"{url_of(archiver)}/api/archives/v1/archives?request_id={request_id}"
            async with session.get(url) as response:
                found: list[dict[str, Any]] = (await response.json())["data"]
                return [archive for archive in found if archive["copied_at"]]

        ends = ("installed", "error", "cancelled")
        for end in ends:
            (cluster_id,) = await sender.simulate(end_state=end, hosts=5, events=200)
            sending = await sender.in_state(cluster_id, "sent")
            preview = await sender.call("GET", f"/clusters/{cluster_id}/archive")
            request_id = sending["request_id"]
            (archive,) = await eventually(lambda r=request_id: archives(r), within_seconds=60)
            assert f"/{cluster_id[:2]}/{cluster_id}/" in archive["key"]
            async with ingress.store.get(archive["bucket"], archive["key"]) as chunks:
                content = b"".join([chunk async for chunk in chunks])
            assert content == preview

            async def received(content: bytes = content) -> AsyncIterator[bytes]:
                yield content

            assert (await read_metadata(received()))[cluster_id]["deployment-type"] == "ACM"
            # The same archive once more, as after a crash before the mark: it is recognised, and kept once.
            await sender.call("POST", f"/clusters/{cluster_id}/send")
            await eventually(lambda c=cluster_id: attempts(sender, c, 2), within_seconds=60)
        assert len(await ingress.objects()) == len(ends)
        record_property(
            "figures", f"{len(ends)} ends: each archive found at the archiver, equal to its preview"
        )


async def attempts(sender, cluster_id: str, count: int) -> bool:
    (sending,) = await sender.sendings(cluster_id)
    return sending["state"] == "sent" and sending["attempts"] == count
