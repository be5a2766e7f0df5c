"""Rules for archives, on insights-core: the modules that authors import, and the loading and evaluation of packs.

Authors use ``contexts``, ``specs`` and ``parsers``, which read Insights Operator archives, ``reading`` and ``details``,
which help a rule to judge, and ``testing``. ``evaluation`` runs loaded rules on the bytes of an archive, ``workers``
does so in separate processes, ``content`` reads the descriptions of a pack's rules, and ``scaffold`` creates a new
pack.

This module does not import insights-core (the extra ``rules``), so that commands that run no rules work without it.
"""

from importlib.util import find_spec
from typing import Final

from headrace.runtime.errors import ConfigurationError

SHIPPED_PACK: Final = "headrace.rule_pack"
"""The pack that runs if no other is configured."""


def require_insights_core() -> None:
    """Raise `ConfigurationError` if the extra is not installed."""
    if find_spec("insights") is None:
        raise ConfigurationError(
            "the rules need insights-core, which is not installed; expected: pip install 'headrace[rules]'"
        )
