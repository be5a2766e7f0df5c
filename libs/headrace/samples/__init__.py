"""Realistic archives of every sender; equal options give equal archives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.archives.kinds import CONTENT_TYPES
from headrace.contracts.assisted import FILE_NAME, SERVICE
from headrace.installations.origin import DEFAULT_NOW
from headrace.samples import assisted, cost, insights, ols
from headrace.samples.options import SampleOptions

__all__ = ["DEFAULT_NOW", "KINDS", "SampleKind", "SampleOptions"]


@dataclass(frozen=True, slots=True)
class SampleKind:
    """A kind of sample; ``generate`` writes it into a directory and returns the written files, uploads first.

    ``file_names`` are the files for the default options, the upload first; ``content_type`` is that of its part. With
    ``names_cluster`` false the archive does not name its cluster, and the sender has to.
    """

    name: str
    file_names: tuple[str, ...]
    content_type: str
    service: str
    description: str
    generate: Callable[[Path, SampleOptions], list[Path]]
    names_cluster: bool = True


KINDS: Mapping[str, SampleKind] = {
    kind.name: kind
    for kind in (
        SampleKind(
            name="ols",
            file_names=(ols.FILE_NAME,),
            content_type=CONTENT_TYPES["ols"],
            service="ols",
            description="OpenShift Lightspeed: feedback and transcripts of a few conversations",
            generate=ols.generate,
            names_cluster=False,
        ),
        SampleKind(
            name="insights",
            file_names=(insights.FILE_NAME,),
            content_type=CONTENT_TYPES["insights"],
            service="openshift",
            description="Insights Operator: a small cluster with some problems",
            generate=insights.generate,
        ),
        SampleKind(
            name="cost",
            file_names=(cost.FILE_NAME, cost.ROS_CSV_NAME),
            content_type=CONTENT_TYPES["cost"],
            service="hccm",
            description="Cost management: usage of containers, namespaces and pods, and the bare ROS CSV",
            generate=cost.generate,
        ),
        SampleKind(
            name="assisted",
            file_names=(FILE_NAME,),
            content_type=CONTENT_TYPES["assisted"],
            service=SERVICE,
            description="Assisted installer: the events of a finished installation",
            generate=assisted.generate,
        ),
    )
}
