"""Archives are made on a disk, which may be full; no cluster is to blame for that."""

from pathlib import Path

import pytest

from tests.disks import small_disk
from tests.integration.assisted_events.harness import Endpoint, open_sender


async def test_a_full_disk_postpones_what_is_sent_and_is_503_to_who_looks(
    postgres_url: str, database_name: str, endpoint: Endpoint, tmp_path: Path
) -> None:
    with small_disk(tmp_path) as disk:
        if not disk.mounted:
            pytest.skip("no file system can be mounted here")
        disk.fill()
        async with open_sender(
            postgres_url,
            database_name,
            DATA_UPLOAD_ENDPOINT=endpoint.url,
            ASSISTED_SPOOL_DIRECTORY=str(disk.path),
            ASSISTED_MAX_ATTEMPTS="1",
        ) as sender:
            (cluster_id,) = await sender.simulate(events=50)
            status, answer = await sender.ask("GET", f"/clusters/{cluster_id}/archive")
            assert (status, answer) == (503, {"message": f"the disk of {disk.path} is full"})
            waiting = await sender.in_state(cluster_id, "waiting")
            assert waiting["failures"] == 0
            disk.free()
            await sender.call("POST", f"/clusters/{cluster_id}/send")
            await sender.in_state(cluster_id, "sent")
        assert disk.used_by_others == []
