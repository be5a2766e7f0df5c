"""Rules for OpenShift clusters, run on Insights Operator archives by insights-core.

``rules`` judge, and ``content`` describes each rule to people; contexts, specs and parsers are in `headrace.rules`.
Nothing here asks the host's clock: the moment of judgement is the archive's own.
"""

from typing import Final

from insights import add_status

NAME: Final = "headrace_rules_ocp"
VERSION: Final = "1.0.0"

add_status(NAME, f"{NAME}-{VERSION}")
