"""What every page has: who looks at it, its place in the navigation, its live updates."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from headrace_services.console import pages
from headrace_services.console.callers import Viewer, operator, viewer_of


@dataclass(frozen=True)
class Place:
    """A view in the navigation."""

    path: str
    title: str
    for_operators: bool = False


PLACES: Final = (
    Place("/", "Overview", for_operators=True),
    Place("/payloads", "Payloads"),
    Place("/clusters", "Clusters"),
    Place("/recommendations", "Recommendations"),
    Place("/upload", "Upload"),
    Place("/dead-letters", "Dead letters", for_operators=True),
    Place("/senders", "Senders", for_operators=True),
    Place("/topics", "Topics", for_operators=True),
)


@dataclass(frozen=True)
class Site:
    """Makes pages for whoever asks."""

    lenient: bool
    operator_role: str

    def viewer(self, request: web.Request) -> Viewer:
        """Return who asks; raises a `Refusal`."""
        return viewer_of(request, lenient=self.lenient, operator_role=self.operator_role)

    def operator(self, request: web.Request) -> Viewer:
        """Return the operator who asks; refuses others."""
        return operator(self.viewer(request))

    def page(
        self,
        request: web.Request,
        template: str,
        viewer: Viewer,
        *,
        title: str,
        live: str = "",
        status: int = 200,
        **values: Any,
    ) -> web.Response:
        """Answer a page; ``live`` is what its stream tells it of, empty for a page without one."""
        html = pages.render(
            template,
            title=title,
            viewer=viewer,
            places=self._places(viewer),
            here=request.rel_url.path,
            address=str(request.rel_url),
            live=live,
            lenient=self.lenient,
            **values,
        )
        return pages.answer(html, status)

    def refusal(self, request: web.Request, status: int, reason: str) -> web.Response:
        """Answer a refusal as a page, also to somebody whom nobody knows."""
        nobody = Viewer("", "", "", is_operator=self.lenient)
        title = HTTPStatus(status).phrase
        return self.page(
            request, "refusal.html", nobody, title=title, status=status, code=status, reason=reason
        )

    def _places(self, viewer: Viewer) -> Sequence[Place]:
        return [place for place in PLACES if viewer.is_operator or not place.for_operators]
