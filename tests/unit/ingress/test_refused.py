import asyncio
from typing import Any

import pytest

from headrace.contracts.identity import Identity
from headrace.runtime.errors import Retryable
from headrace.runtime.metrics import REGISTRY
from headrace.web.errors import Refusal
from headrace_services.ingress.refused import Refusals, RefusedUpload
from tests.waiting import eventually


class Statuses:
    """What was reported; away while it is told so."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, dict[str, Any]]] = []
        self.is_away = False

    async def report(self, request_id: str, status: str, status_msg: str, **fields: Any) -> None:
        if self.is_away:
            raise Retryable("Kafka is away")
        self.told.append((request_id, status, status_msg, fields))


def untold() -> float:
    return REGISTRY.get_sample_value("headrace_ingress_refusals_untold_total") or 0.0


def refused(number: int = 0, **fields: Any) -> RefusedUpload:
    told: dict[str, Any] = {"identity": Identity(org_id="1001", account_number="7"), "user_agent": "curl/8"}
    return RefusedUpload(request_id=f"r{number}", refusal=Refusal(415, "Unsupported\n"), **told | fields)


@pytest.fixture
async def running() -> Any:
    statuses, now = Statuses(), [0.0]
    refusals = Refusals(statuses, clock=lambda: now[0])  # type: ignore[arg-type]
    task = asyncio.create_task(refusals.run())
    yield statuses, refusals, now
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_refused_upload_is_told_with_its_reason(running: Any):
    statuses, refusals, _ = running
    refusals.note(refused(upload_service="hccm"))
    refusals.note(refused(1, identity=None, user_agent="bad\x1b[31m\nagent" + "x" * 500))
    await eventually(lambda: len(statuses.told) == 2)
    (request_id, status, text, fields), (_, _, odd, stranger) = statuses.told
    assert (request_id, status, text) == ("r0", "error", "refused with 415: Unsupported (user agent curl/8)")
    assert (fields["source"], fields["org_id"], fields["account"]) == ("refused", "1001", "7")
    assert fields["upload_service"] == "hccm"
    assert odd.startswith("refused with 415: Unsupported (user agent bad?[31m?agentxxx")
    assert len(odd) < 300
    assert (stranger["org_id"], stranger["upload_service"]) == ("", None)


async def test_a_flood_of_them_is_counted_and_not_told(running: Any):
    statuses, refusals, now = running
    before = untold()
    for number in range(25):
        refusals.note(refused(number))
    await eventually(lambda: len(statuses.told) == 10)
    assert untold() - before == 15
    now[0] += 0.5
    for number in range(25):
        refusals.note(refused(number))
    await eventually(lambda: len(statuses.told) == 15)
    assert untold() - before == 35


async def test_none_is_told_late_while_kafka_is_away(running: Any):
    statuses, refusals, _ = running
    before = untold()
    statuses.is_away = True
    refusals.note(refused())
    await eventually(lambda: untold() - before == 1)
    statuses.is_away = False
    refusals.note(refused(1))
    await eventually(lambda: [told[0] for told in statuses.told] == ["r1"])
