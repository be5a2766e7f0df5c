"""What a ledger carries from one owner of a partition to the next."""

import orjson
import pytest

from headrace.bus.ledger import CAREFUL_STARTS, Ledger


def test_an_ordinary_life_writes_one_mark_and_takes_it_back():
    ledger = Ledger()
    assert not ledger.watches(7)
    assert orjson.loads(ledger.metadata(0)) == {"open": True, "ends": {}}
    assert ledger.metadata(5, closing=True) == ""


def test_whoever_finds_it_open_writes_down_what_it_starts():
    ledger = Ledger(Ledger().metadata(0))
    assert ledger.watches(7)
    with ledger.starting(7), ledger.starting(9):
        left = ledger.metadata(5)
    assert orjson.loads(left) == {"open": True, "ends": {"7": 1, "9": 1}}
    assert orjson.loads(ledger.metadata(5)) == {"open": True, "ends": {}}


def test_each_end_counts_once_and_an_orderly_one_does_not():
    ledger = Ledger(Ledger().metadata(0))
    for ends in range(1, 4):
        with ledger.starting(7):
            left = ledger.metadata(5)
        ledger = Ledger(left)
        assert ledger.ends(7) == ends
    # It failed, is tried again later, and its process stops in order: a suspect all the same, but no worse.
    with ledger.starting(7):
        pass
    ledger = Ledger(ledger.metadata(5, closing=True))
    assert (ledger.ends(7), ledger.watches(7), ledger.watches(8)) == (3, True, False)
    ledger.ended(7)
    assert ledger.metadata(5, closing=True) == ""


def test_an_end_that_the_broker_brought_about_is_not_counted():
    left = orjson.dumps({"open": True, "ends": {"7": 2, "8": 1}}).decode()
    ledger = Ledger(left, absolved=frozenset({7, 8, 9}))
    assert (ledger.ends(7), ledger.ends(8), ledger.ends(9)) == (1, 0, 0)


def test_what_lies_below_the_offset_is_forgotten():
    ledger = Ledger('{"open":true,"ends":{"7":2,"8":1}}')
    assert orjson.loads(ledger.metadata(8))["ends"] == {"8": 1}


def test_care_comes_to_an_end():
    ledger = Ledger(Ledger().metadata(0))
    for offset in range(CAREFUL_STARTS):
        assert ledger.watches(offset)
        with ledger.starting(offset):
            pass
    assert not ledger.watches(CAREFUL_STARTS)


def test_the_broker_takes_the_worst_of_any_number():
    ledger = Ledger(
        orjson.dumps({"open": True, "ends": {str(10**18 + n): n for n in range(1, 1000)}}).decode()
    )
    told = ledger.metadata(0)
    assert len(told) < 4096
    assert orjson.loads(told)["ends"][str(10**18 + 999)] == 999


@pytest.mark.parametrize(
    "metadata", ["", "x", "[]", "1", '{"ends": 5}', '{"ends": {"x": 1}}', '{"open": null}']
)
def test_what_others_write_there_means_nothing(metadata: str):
    ledger = Ledger(metadata)
    assert (ledger.watches(0), ledger.ends(0)) == (False, 0)
