"""The previous turns of conversations, in the memory of one process."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# The limit of all conversations together; attachments are part of questions.
MAX_CHARACTERS: Final = 32 << 20


@dataclass(frozen=True)
class Turn:
    """A question with its attachments, and the answer."""

    question: str
    answer: str

    @property
    def characters(self) -> int:
        """The number of characters of the turn."""
        return len(self.question) + len(self.answer)


class Conversations:
    """The latest turns of the latest conversations, by user."""

    def __init__(self, most: int, most_turns: int, most_characters: int = MAX_CHARACTERS) -> None:
        self._most = most
        self._most_turns = most_turns
        self._most_characters = most_characters
        self._turns: OrderedDict[tuple[str, str], deque[Turn]] = OrderedDict()
        self.characters = 0

    def __len__(self) -> int:
        return len(self._turns)

    def turns(self, user_id: str, conversation_id: str) -> Sequence[Turn]:
        """Return the turns, oldest first."""
        key = (user_id, conversation_id)
        if key not in self._turns:
            return ()
        self._turns.move_to_end(key)
        return tuple(self._turns[key])

    def remember(self, user_id: str, conversation_id: str, turn: Turn) -> None:
        """Add a turn and drop the least recently used ones beyond the limit."""
        key = (user_id, conversation_id)
        turns = self._turns.setdefault(key, deque())
        self._turns.move_to_end(key)
        turns.append(turn)
        self.characters += turn.characters
        if len(turns) > self._most_turns:
            self.characters -= turns.popleft().characters
        while len(self._turns) > self._most:
            _, gone = self._turns.popitem(last=False)
            self.characters -= sum(item.characters for item in gone)
        while self.characters > self._most_characters and self._turns:
            self._forget_one()

    def _forget_one(self) -> None:
        key, turns = next(iter(self._turns.items()))
        self.characters -= turns.popleft().characters
        if not turns:
            del self._turns[key]
