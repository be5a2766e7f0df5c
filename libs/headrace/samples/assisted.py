"""The events archive of an assisted installer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headrace.archives import Entry
from headrace.archives.assisted import array_entry, entries
from headrace.contracts.assisted import EVENTS_MEMBER, FILE_NAME, HOSTS_MEMBER
from headrace.installations.installation import Installation
from headrace.installations.narrative import VERSIONS
from headrace.samples.files import write_archive_file
from headrace.samples.options import SampleOptions

_DEPLOYMENT: Final = {
    "deployment-type": "Operator",
    "deployment-version": "2.11.2",
    "git-ref": "f31c0a9d2e47",
}


def generate(directory: Path, options: SampleOptions) -> list[Path]:
    """Write ``events.tgz``: a cluster of three hosts whose installation ended just before ``now``."""
    return [write_archive_file(directory / FILE_NAME, _entries(Installation(options)), options.now)]


def _entries(installation: Installation) -> Iterator[Entry]:
    return entries(
        installation.cluster_id,
        cluster=installation.cluster(),
        hosts=array_entry(installation.cluster_id, HOSTS_MEMBER, installation.hosts()),
        infra_env=installation.infra_env(),
        events=array_entry(installation.cluster_id, EVENTS_MEMBER, installation.events()),
        versions=VERSIONS,
        deployment=_DEPLOYMENT,
    )
