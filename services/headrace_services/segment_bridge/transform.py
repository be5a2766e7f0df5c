"""``splunk-to-segment``: Splunk's rows to Segment's events, line by line.

A row becomes one event, is dropped for a counted reason, or is malformed and becomes a dead letter; the run continues.
A line is parsed once, and so are its properties; parsed contexts are cached.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import orjson

from headrace_services.segment_bridge.map_files import Id
from headrace_services.segment_bridge.subjects import event_name
from headrace_services.segment_bridge.texts import several

# The messageId (empty without one), what may be reported only once (a merge URL, else empty), and the event's bytes.
Event: TypeAlias = tuple[str, str, bytes]
Reject: TypeAlias = Callable[[bytes, str], None]

PULL_REQUEST: Final = "Pull request created"

NO_RESULT: Final = "no result"
NO_WORKSPACE: Final = "namespace without a workspace"
NO_OWNER: Final = "workspace without a user id"
NO_USER: Final = "user without an id"
NO_ROW: Final = "not a row of Splunk"
MALFORMED: Final = "malformed"
# The reasons that point to a wrong map or a wrong input, with the map. `NO_RESULT` is none, because Splunk reports it
# when it finds nothing.
_LOSSES: Final = {
    NO_WORKSPACE: " (workspace map)", NO_OWNER: " (uid map)", NO_USER: " (uid map)", NO_ROW: "",
}  # fmt: skip
# Every line that Splunk writes has one of these keys.
_OF_SPLUNK: Final = frozenset({"result", "preview", "lastrow", "messages"})

_REMEMBERED_CONTEXTS: Final = 1024
_REMEMBERED_CHARACTERS: Final = 2048


class Malformed(Exception):
    """The row cannot become an event; the text is the reason."""


class Transform:
    """Builds events; ``dropped`` counts by reason, ``reject`` gets each malformed line with the reason."""

    def __init__(
        self,
        ids: Mapping[str, Id],
        workspaces: Mapping[str, str],
        reject: Reject = lambda _line, _reason: None,
    ) -> None:
        self.made = 0
        self.dropped: Counter[str] = Counter()
        self._ids = ids
        self._workspaces = workspaces
        self._owners = {name: ids[owner] for name, owner in workspaces.items() if owner in ids}
        self._reject = reject
        self._contexts: dict[str, orjson.Fragment] = {}

    def events(self, lines: Iterable[bytes]) -> list[Event]:
        """Return the events of some lines, in order; blank lines are ignored, a line may have several objects."""
        found = self._made(lines)
        self.made += len(found)
        return found

    def _made(self, lines: Iterable[bytes]) -> list[Event]:
        found: list[Event] = []
        for line in lines:
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                if parts := several(line):
                    found += self._made(parts)
                elif line.strip():
                    self._malformed(line, f"the line is not JSON: {_shown(error)}")
                continue
            try:
                made = self._event(row)
            except orjson.JSONDecodeError as error:
                self._malformed(line, f"properties are not JSON: {_shown(error)}")
            except Malformed as error:
                self._malformed(line, str(error))
            except orjson.JSONEncodeError as error:
                # The event is nested too deeply to be encoded.
                self._malformed(line, str(error))
            else:
                if type(made) is tuple:
                    found.append(made)
                else:
                    self.dropped[str(made)] += 1
        return found

    @property
    def rows(self) -> int:
        """The number of lines that were not blank."""
        return self.made + self.dropped.total()

    def losses(self, share: float) -> list[str]:
        """Return why the input counts as lost: at least ``share`` of its rows became no event. 0 disables the check.

        Malformed rows do not count, because they are kept.
        """
        lost = {reason: self.dropped[reason] for reason in _LOSSES if self.dropped[reason]}
        count = sum(lost.values())
        rows = count + self.made
        if not share or not lost or count < share * rows:
            return []
        shown = ", ".join(f"{number} {reason}{_LOSSES[reason]}" for reason, number in lost.items())
        return [f"{count} of {rows} rows are lost: {shown}"]

    def _malformed(self, line: bytes, reason: str) -> None:
        self.dropped[MALFORMED] += 1
        self._reject(line, reason)

    def _event(self, row: Any) -> Event | str:
        """Return the event, or the reason for none; the order of the checks is the contract's."""
        result = row.get("result") if type(row) is dict else _no_object(row)
        if type(result) is not dict:
            return _no_result(row, result)
        get: Callable[[str], Any] = result.get
        namespace = get("namespace")
        if type(namespace) is not str:
            raise Malformed("namespace is not text")
        owner = self._owners.get(namespace)
        if owner is None:
            return NO_OWNER if namespace in self._workspaces else NO_WORKSPACE
        user = get("userId")
        # False counts as absent, also in the event's name, as in jq's `//`.
        user_id = (
            owner
            if user is None or user is False
            else self._ids.get(user)
            if type(user) is str
            else _not_text("userId")
        )
        if user_id is None:
            return NO_USER
        event = get("event")
        if event is None or event is False:
            event = _name(get("event_subject"), get("event_verb"))
        # orjson also refuses values that are not text.
        properties = orjson.loads(get("properties"))
        if properties is None:
            properties = {}
        elif type(properties) is not dict:
            raise Malformed("properties are not an object")
        # A new key comes last; an existing one keeps its place.
        properties["workspaceID"] = owner
        message_id, context = get("messageId"), get("context")
        body = orjson.dumps(
            {
                "messageId": message_id,
                "timestamp": get("timestamp"),
                "namespace": namespace,
                "type": get("type"),
                "userId": user_id,
                "event": event,
                "properties": properties,
                "context": (type(context) is str and self._contexts.get(context)) or self._context(context),
            }
        )
        once = properties.get("merge_url") if event == PULL_REQUEST else ""
        return message_id if type(message_id) is str else "", once if type(once) is str else "", body

    def _context(self, text: Any) -> orjson.Fragment:
        try:
            context = orjson.Fragment(orjson.dumps(orjson.loads(text)))
        except orjson.JSONDecodeError as error:
            raise Malformed(f"context is not JSON: {_shown(error)}") from None
        if len(text) <= _REMEMBERED_CHARACTERS:
            if len(self._contexts) >= _REMEMBERED_CONTEXTS:
                self._contexts.clear()
            self._contexts[text] = context
        return context


def _no_object(row: Any) -> Any:
    if row is None:
        return row
    raise Malformed("the line is not an object")


def _no_result(row: Any, result: Any) -> str:
    if row is not None and not row.keys() & _OF_SPLUNK:
        return NO_ROW
    if result is None or result is False:
        return NO_RESULT
    raise Malformed("result is not an object")


def _not_text(name: str) -> NoReturn:
    raise Malformed(f"{name} is not text")


def _name(subject: Any, verb: Any) -> str:
    if type(subject) is not str or type(verb) is not str:
        raise Malformed("the row has neither an event nor a subject and a verb")
    return event_name(subject, verb)


def _shown(error: orjson.JSONDecodeError) -> str:
    return f"{error.msg} at character {error.pos}"
