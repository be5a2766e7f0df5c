"""Rules for archives, on insights-core: what authors of rules import, and what loads and evaluates their packs.

Authors use ``contexts``, ``specs`` and ``parsers``, which read Insights Operator archives, ``reading`` and
``details``, which help a rule to judge, and ``testing``. ``evaluation`` runs loaded rules on the bytes of an archive,
``workers`` does so in processes of their own, ``content`` finds what a pack says to people, ``scaffold`` begins a pack.

This module does without insights-core, as commands do that run no rules; it comes with the extra ``rules``.
"""

from importlib.util import find_spec
from typing import Final

from headrace.runtime.errors import ConfigurationError

SHIPPED_PACK: Final = "headrace.rule_pack"
"""The pack that runs where no other is named."""


def require_insights_core() -> None:
    """Raise `ConfigurationError` where the extra is not installed."""
    if find_spec("insights") is None:
        raise ConfigurationError(
            "the rules need insights-core, which is not installed; expected: pip install 'headrace[rules]'"
        )
