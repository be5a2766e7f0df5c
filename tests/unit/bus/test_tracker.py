import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.bus.tracker import LogTruncated, OffsetTracker


class TrackerAgainstModel(RuleBasedStateMachine):
    """The model remembers everything; the tracker must agree while remembering little."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.open: list[int] = []
        self.finished: list[int] = []
        self.next: int | None = None
        self.committed: int | None = None

    @rule(gap=st.integers(0, 3))
    def take(self, gap: int) -> None:
        offset = (self.next or 0) + gap
        self.tracker.take(offset)
        self.open.append(offset)
        self.next = offset + 1

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def finish_any(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(self.open))
        self.open.remove(offset)
        self.finished.append(offset)
        self.tracker.finish(offset)

    @rule(ahead=st.integers(-5, 5))
    def skip(self, ahead: int) -> None:
        position = max(0, (self.next or 0) + ahead)
        self.tracker.skip_to(position)
        if not self.open:
            self.next = max(position, self.next or 0)

    @rule()
    def commit(self) -> None:
        self.committed = self.tracker.committable

    @invariant()
    def commits_up_to_the_first_unfinished(self) -> None:
        assert self.tracker.committable == (min(self.open) if self.open else self.next)

    @invariant()
    def never_passes_an_unfinished_message(self) -> None:
        committable = self.tracker.committable
        assert committable is None or all(offset >= committable for offset in self.open)

    @invariant()
    def never_goes_back(self) -> None:
        assert self.committed is None or self.tracker.committable >= self.committed

    @invariant()
    def idle_means_nothing_is_open(self) -> None:
        assert self.tracker.idle == (not self.open)

    @invariant()
    def keeps_no_finished_prefix(self) -> None:
        assert len(self.tracker._finished) <= len(self.tracker._open)


TestTracker = TrackerAgainstModel.TestCase


def test_an_offset_that_comes_twice_is_refused():
    tracker = OffsetTracker()
    tracker.take(5)
    with pytest.raises(LogTruncated, match="offset 5 came after 5"):
        tracker.take(5)


def test_nothing_taken_is_nothing_to_commit():
    assert OffsetTracker().committable is None
