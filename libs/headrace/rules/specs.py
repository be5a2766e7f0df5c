"""The files of an Insights Operator archive that the rules read, all as bytes, because they are JSON or metrics.

Source of the paths: openshift/insights-operator, docs/gathered-data.md. Operators before 4.3 wrote files without an
extension, so some patterns do not require one; a parser skips files of another kind.
"""

from collections.abc import Sequence
from typing import Any, Final

from insights.core.spec_factory import RawFileProvider, RegistryPoint, SpecSet, first_file, glob_file

from headrace.rules.contexts import CLUSTER_VERSIONS, InsightsOperatorContext

# insights-core's own limit of 1,000 would silence a rule on a big cluster; an archive never has more members than this.
MAX_FILES: Final = 20_000


def _one() -> Any:
    return RegistryPoint(raw=True)


def _many() -> Any:
    return RegistryPoint(multi_output=True, raw=True)


def _first(paths: Sequence[str]) -> Any:
    return first_file(list(paths), context=InsightsOperatorContext, kind=RawFileProvider)


def _all(*patterns: str) -> Any:
    return glob_file(
        list(patterns), context=InsightsOperatorContext, kind=RawFileProvider, max_files=MAX_FILES
    )


class Specs(SpecSet):
    """The specs on which parsers depend."""

    alerts = _one()
    api_request_counts = _many()
    certificate_signing_requests = _many()
    cluster_operators = _many()
    cluster_version = _one()
    events = _many()
    image_registry = _one()
    ingress_certificates = _one()
    machine_config_pools = _many()
    metrics = _one()
    nodes = _many()
    pods = _many()
    running_containers = _one()
    webhooks = _many()


class InsightsOperatorSpecs(Specs):
    """The paths of the specs in an Insights Operator archive."""

    alerts = _first(["config/alerts.json"])
    api_request_counts = _all("conditional/alerts/*/api_request_counts.json")
    certificate_signing_requests = _all("config/certificatesigningrequests/*")
    cluster_operators = _all("config/clusteroperator/*")
    cluster_version = _first(CLUSTER_VERSIONS)
    events = _all("events/*.json", "events/*/*.json")
    image_registry = _first(
        [
            "config/clusteroperator/imageregistry.operator.openshift.io/config/cluster.json",
            "config/imageregistry.json",
            "config/imageregistry",
        ]
    )
    ingress_certificates = _first(["aggregated/ingress_controllers_certs.json"])
    machine_config_pools = _all("config/machineconfigpools/*")
    metrics = _first(["config/metrics"])
    nodes = _all("config/node/*")
    pods = _all("config/pod/*/*", "conditional/namespaces/*/pods/*/*.json")
    running_containers = _first(["config/running_containers.json"])
    webhooks = _all("config/validatingwebhookconfigurations/*", "config/mutatingwebhookconfigurations/*")
