"""A cluster version that cannot be brought about."""

from typing import Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.parsers.cluster import ClusterVersion

ERROR_KEY: Final = "CLUSTER_UPDATE_FAILING"
GOOD_KEY: Final = "CLUSTER_UPDATE_NOT_FAILING"


@rule(ClusterVersion, tags=["upgrade", "version"])
def report(version: ClusterVersion) -> Response | None:
    """Hit when the cluster version operator fails, or does not accept the wanted release.

    One that does not tell is not judged.
    """
    progressing = version.condition("Progressing", "True") is not None
    versions = {"version": version.current, "desired": version.desired, "updating": progressing}
    failing = version.condition("Failing", "True") or version.condition("ReleaseAccepted", "False")
    if failing is None:
        return make_pass(GOOD_KEY, **versions) if version.condition("Failing", "False") else None
    return make_fail(ERROR_KEY, condition=failing.kind, **failing.details(), **versions)
