"""How an Insights Operator archive is recognised.

Source of the layout: openshift/insights-operator, docs/gathered-data.md and docs/insights-archive-sample.
"""

import posixpath
from collections.abc import Iterable
from typing import Final

from insights.core.context import ExecutionContext, fs_root

# The operator's own report on the gathering; the name differs between versions.
GATHERING_REPORTS: Final = (
    "insights-operator/gathers.json",
    "insights-operator/gathering-metadata.json",
    "insights-operator/gathering.json",
)
# The oldest operators wrote no report, and file names without extensions.
CLUSTER_VERSIONS: Final = ("config/version.json", "config/version")
CLUSTER_ID: Final = "config/id"


@fs_root
class InsightsOperatorContext(ExecutionContext):
    """An Insights Operator archive of any version."""

    marker = GATHERING_REPORTS[0]

    @classmethod
    def handles(cls, files: Iterable[str]) -> tuple[str | None, type[ExecutionContext] | None]:
        """Return the archive's root and this class if ``files`` (absolute paths) are such an archive.

        The name of the cluster version's file is common, so it counts only if the file with the cluster's id exists
        too.
        """
        listed = list(files)
        roots = {root for marker in GATHERING_REPORTS for root in _roots(listed, marker)}
        if not roots:
            named = _roots(listed, CLUSTER_ID)
            roots = named & {root for marker in CLUSTER_VERSIONS for root in _roots(listed, marker)}
        if not roots:
            return None, None
        return min(roots, key=lambda root: (len(root), root)), cls


def _roots(files: list[str], marker: str) -> set[str]:
    ending = f"/{marker}"
    return {posixpath.dirname(path[: 1 - len(ending)]) for path in files if path.endswith(ending)}
