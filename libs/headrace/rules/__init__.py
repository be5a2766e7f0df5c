"""Rules for archives, on insights-core: what authors of rules import, and what loads and evaluates their packs.

Authors use ``contexts``, ``specs`` and ``parsers``, which read Insights Operator archives, ``reading`` and
``details``, which help a rule to judge, and ``testing``. ``evaluation`` runs loaded rules on the bytes of an archive,
``workers`` does so in processes of their own, ``content`` finds what a pack says to people, ``scaffold`` begins a pack.

This module imports nothing, so that commands which run no rules do without insights-core (the extra ``rules``).
"""

from typing import Final

SHIPPED_PACK: Final = "headrace.rule_pack"
"""The pack that runs where no other is named."""
