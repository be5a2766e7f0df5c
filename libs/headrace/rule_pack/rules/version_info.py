"""The cluster's version, for whoever reads the report: results aggregators keep it for the cluster."""

from typing import Final

from insights.core.plugins import Response, make_info, rule

from headrace.rules.parsers.cluster import ClusterVersion

INFO_KEY: Final = "CLUSTER_VERSION_INFO"


@rule(ClusterVersion, tags=["version"])
def report(version: ClusterVersion) -> Response | None:
    """Tell the version that the cluster has."""
    if not version.current:
        return None
    return make_info(INFO_KEY, version=version.current)
