"""Markdown of rule content as HTML: the only place where HTML is made outside the templates.

Content comes from packages of rules, and the details of a hit within it from an archive: HTML in it is text, images are
not loaded, and links lead to http(s) addresses only.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from headrace_services.console import words

_MAX_CHARACTERS: Final = 20_000


class _Renderer(RendererHTML):
    """Puts headings below those of the page, and tells a browser not to say where a reader came from."""

    def heading_open(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:  # noqa: ARG002 -- its signature
        """Open a heading."""
        return "<h4>"

    def heading_close(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:  # noqa: ARG002 -- its signature
        """Close a heading."""
        return "</h4>\n"

    def link_open(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Open a link."""
        tokens[at].attrSet("rel", "noopener noreferrer")
        return self.renderToken(tokens, at, options, env)


@cache
def _reader() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
    made.disable(["image", "html_block", "html_inline"]).enable("table")
    made.validateLink = _is_allowed  # type: ignore[method-assign]
    return made


def _is_allowed(url: str) -> bool:
    return url.lower().startswith(("https://", "http://"))


def markdown(text: Any) -> Markup:
    """Return a text's HTML."""
    return Markup(_reader().render(words.visible(text, _MAX_CHARACTERS)))  # noqa: S704 -- made by the reader above
