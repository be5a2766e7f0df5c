import pytest
from aiokafka.structs import ConsumerRecord

from headrace.bus.consumption import Consumption
from headrace.bus.processing import Processor
from headrace.bus.producer import Producer, _Connection
from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.runtime.metrics import REGISTRY
from headrace.runtime.settings import EngineSettings


async def ignore(_message: object, _delivery: object) -> None:
    """Never called here."""


def processor(header: str, values: set[str]) -> Processor:
    return Processor(
        Consumption(topic=PAYLOAD_STATUS, group="g", header=header, values=frozenset(values)),
        ignore,
        service="filtering",
        producer=Producer(_Connection(EngineSettings(), "test"), "filtering"),
        statuses=None,
        key=None,
    )


def record(*headers: tuple[str, bytes | None]) -> ConsumerRecord:
    return ConsumerRecord("t", 0, 0, 0, 0, None, b"{}", None, 0, 2, headers)


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ([("service", b"hccm")], True),
        ([("service", b"ols"), ("other", b"x")], True),
        ([("service", b"advisor"), ("service", b"hccm")], True),
        ([("service", b"advisor")], False),
        ([("service", None)], False),
        ([("service", b"\xff")], False),
        ([("Service", b"hccm")], False),
        ([("other", b"hccm")], False),
        ([], False),
    ],
)
def test_only_records_with_a_wanted_header_pass(headers: list[tuple[str, bytes | None]], passes: bool):
    assert processor("service", {"hccm", "ols"}).filtered(record(*headers)) is not passes


def test_without_a_header_in_its_terms_everything_passes():
    assert not processor("", set()).filtered(record(("service", b"any")))


def test_what_does_not_pass_is_counted():
    labels = {"service": "filtering", "topic": PAYLOAD_STATUS.name, "outcome": "filtered"}
    filtering = processor("service", {"hccm"})
    before = REGISTRY.get_sample_value("headrace_messages_total", labels)
    filtering.filtered(record())
    assert REGISTRY.get_sample_value("headrace_messages_total", labels) == before + 1
