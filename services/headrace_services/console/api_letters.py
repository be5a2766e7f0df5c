"""Dead letters: what could not be handled, in groups of the same reason, and the redrive."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from headrace.bus.dead_letter_index import LetterEntry
from headrace.contracts.topics import DEAD_LETTER_SUFFIX
from headrace.objects.store import OCTETS
from headrace.runtime.logging import get_logger
from headrace.service.row import Service
from headrace.web.errors import Refusal
from headrace.web.parameters import Integer, Parameter, Text, shown
from headrace_services.console import flow, pages, words
from headrace_services.console.api_flow import Health, lag_of
from headrace_services.console.letters import Letters
from headrace_services.console.site import Site
from headrace_services.console.sources import panel
from headrace_services.console.watching import TrafficReader

_log = get_logger(__name__)

_PAGE: Final = 100
_AT_ONCE: Final = 1000
_SHOWN_BYTES: Final = 64 << 10
# What a form of a redrive may have: as many letters as one redrive, each with its name and place.
MAX_FORM_BYTES: Final = 512 << 10
GROUP: Final = Parameter("group", Text(max_bytes=512), "", "letters of this group")
AFTER: Final = Parameter(
    "after", Text(max_bytes=300), "", "letters that follow this one, topic:partition:offset"
)
PLACE: Final = (
    Parameter("topic", Text(min_characters=1, max_bytes=249), "", where="path"),
    Parameter("partition", Integer(0, 1_000_000), 0, where="path"),
    Parameter("offset", Integer(0, 2**63 - 1), 0, where="path"),
)
DONE: Final = Parameter("redriven", Integer(0, 10**6), None, "how many were put back just now")

Place = tuple[str, int, int]


@dataclass(frozen=True)
class LetterPages:
    """The handlers and what they stand on."""

    site: Site
    rows: Sequence[Service]
    letters: Letters
    health: Health
    traffic: TrafficReader

    async def all(self, request: web.Request) -> web.Response:
        """Show the dead letters: groups of the same reason, or the letters of one group."""
        viewer = self.site.operator(request)
        group, after = GROUP.read(request.query), AFTER.read(request.query)
        index = await panel("Kafka", self.letters.index(), seconds=60.0)
        groups = index.value.groups() if index.value else []
        found = next((item for item in groups if item.id == group), None)
        letters: list[LetterEntry] = []
        if index.value and group:
            letters = index.value.letters(group, limit=_PAGE, after=_place(after) if after else None)
        return self.site.page(
            request,
            "dead_letters.html",
            viewer,
            title="Dead letters",
            live="flow",
            index=index,
            groups=groups,
            chosen=found,
            group=group,
            letters=letters,
            more=_name(letters[-1]) if len(letters) == _PAGE else "",
            name=_name,
            redriven=DONE.read(request.query),
        )

    async def one(self, request: web.Request) -> web.Response:
        """Show one dead letter: why it could not be handled, its headers, key and value."""
        viewer = self.site.operator(request)
        topic, partition, offset = self._asked(request)
        letter = await panel("Kafka", self.letters.show(topic, partition, offset), seconds=30.0)
        if not letter.problem and letter.value is None:
            raise Refusal(404, "there is no dead letter at this place")
        value = letter.value.value if letter.value else None
        kind, text = words.content(value, _SHOWN_BYTES)
        return self.site.page(
            request,
            "dead_letter.html",
            viewer,
            title="Dead letter",
            letter=letter,
            place=f"{topic}:{partition}:{offset}",
            kind=kind,
            text=text,
            is_cut=len(value or b"") > _SHOWN_BYTES,
            key=words.content(letter.value.key, 1024)[1] if letter.value else "",
            request_id=_request_id(value),
        )

    async def download(self, request: web.Request) -> web.Response:
        """Answer a dead letter's value as a file."""
        self.site.operator(request)
        topic, partition, offset = self._asked(request)
        letter = await self.letters.show(topic, partition, offset)
        if letter is None:
            raise Refusal(404, "there is no dead letter at this place")
        name = f"{topic}-{partition}-{offset}.bin"
        return web.Response(
            body=letter.value or b"",
            content_type=OCTETS,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def confirm(self, request: web.Request) -> web.Response:
        """Ask before a redrive: how many letters, into which topics, and how the consumers are."""
        viewer = self.site.operator(request)
        chosen = await self._chosen(request.query)
        states = await panel("health", self.health.states(), seconds=3.0)
        traffic = await panel("Kafka", self.traffic.traffic())
        counts = Counter(topic.removesuffix(DEAD_LETTER_SUFFIX) for topic, _, _ in chosen)
        return self.site.page(
            request,
            "redrive.html",
            viewer,
            title="Redrive",
            chosen=[":".join(map(str, place)) for place in chosen],
            counts=counts,
            consumers=self._consumers(counts, states.value or {}, lag_of(traffic)),
            group=GROUP.read(request.query),
            health=states,
        )

    async def redrive(self, request: web.Request) -> web.Response:
        """Put the chosen letters back into their topics."""
        viewer = self.site.operator(request)
        form = await request.post()
        chosen = _places([text for text in form.getall("letter", []) if isinstance(text, str)])
        if not chosen:
            raise Refusal(400, "letter: got none, expected the places of dead letters")
        self._check(chosen)
        outcome = await self.letters.redrive(chosen)
        _log.info(
            "dead_letters_redriven",
            who=viewer.name,
            count=outcome.count,
            topics=sorted({topic for topic, _, _ in chosen}),
            skipped=dict(outcome.skipped),
            problem=outcome.problem,
        )
        if not outcome.problem and not outcome.skipped:
            raise web.HTTPSeeOther(pages.link("/dead-letters", redriven=outcome.count))
        return self.site.page(
            request,
            "redriven.html",
            viewer,
            title="Redrive",
            status=503 if outcome.problem else 200,
            outcome=outcome,
        )

    async def _chosen(self, query: MultiMapping[str]) -> list[Place]:
        places = _places(query.getall("letter", []))
        self._check(places)
        group = GROUP.read(query)
        if not places and group:
            index = await self.letters.index()
            entries = index.letters(group, limit=_AT_ONCE)
            places = [(item.topic, item.partition, item.offset) for item in entries if not item.partial]
        if not places:
            raise Refusal(400, "no dead letters are chosen")
        return places

    def _check(self, places: Sequence[Place]) -> None:
        if unknown := sorted({topic for topic, _, _ in places} - self.letters.topics):
            raise Refusal(
                400, f"letter: got {shown(unknown[0])!r}, expected a dead-letter topic of a service"
            )

    def _asked(self, request: web.Request) -> Place:
        topic, partition, offset = (parameter.read(request.match_info) for parameter in PLACE)
        place = (str(topic), int(partition), int(offset))
        if place[0] not in self.letters.topics:
            raise Refusal(404, "no service has a dead-letter topic of this name")
        return place

    def _consumers(
        self, counts: Mapping[str, int], states: Mapping[str, flow.State], lag: Mapping[tuple[str, str], int]
    ) -> list[dict[str, Any]]:
        return [
            {
                "service": row.name,
                "topic": item.topic.name,
                "state": states.get(row.name, flow.State()),
                "lag": lag.get((item.group, item.topic.name)),
            }
            for row in self.rows
            for item in row.consumes
            if item.topic.name in counts
        ]


def _name(entry: LetterEntry) -> str:
    return f"{entry.topic}:{entry.partition}:{entry.offset}"


def _places(names: Sequence[str]) -> list[Place]:
    if len(names) > _AT_ONCE:
        raise Refusal(400, f"letter: got {len(names)} dead letters, expected at most {_AT_ONCE}")
    return [_place(name) for name in names]


def _place(name: str) -> Place:
    topic, _, rest = name.partition(":")
    partition, _, offset = rest.partition(":")
    numbers = (partition, offset)
    if not topic or not all(text.isascii() and text.isdigit() and len(text) < 19 for text in numbers):
        raise Refusal(400, f"letter: got {shown(name)!r}, expected topic:partition:offset")
    return topic, int(partition), int(offset)


def _request_id(value: bytes | None) -> str:
    """Return the request id in a message; empty if it names none."""
    from headrace.runtime.untrusted import Unreadable, load_json

    try:
        document = load_json(value or b"")
    except Unreadable:
        return ""
    fields = {name.lower(): item for name, item in document.items()} if isinstance(document, dict) else {}
    found = fields.get("request_id") or fields.get("requestid")
    return found if isinstance(found, str) and len(found) <= 256 else ""
