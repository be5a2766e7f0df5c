"""The sources of the two maps: each comes from its file if one is named, else from Kubernetes."""

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import get_logger
from headrace_services.segment_bridge.map_files import Maps, ids_of, paired, read_map, workspaces_of
from headrace_services.segment_bridge.maps import FoundMap, uid_map, workspace_map
from headrace_services.segment_bridge.settings import MapSettings, SegmentSettings

_log = get_logger(__name__)


async def read_maps(segment: SegmentSettings, settings: MapSettings) -> Maps:
    """Read the maps for one run, because users and workspaces change.

    Raises `ConfigurationError` if a map is missing or empty, where upstream would drop every record silently.
    """
    if segment.uid_map_file:
        ids = read_map(segment.uid_map_file, "UID_MAP_FILE")
    else:
        ids = _entries(await uid_map(settings), "users", "UID_MAP_FILE")
    if segment.ws_map_file:
        workspaces = read_map(segment.ws_map_file, "WS_MAP_FILE")
    else:
        workspaces = _entries(await workspace_map(settings), "workspaces", "WS_MAP_FILE")
    return paired(
        ids_of(ids, "UID_MAP_FILE", numeric=settings.numeric_ids), workspaces_of(workspaces, "WS_MAP_FILE")
    )


def _entries(found: FoundMap, what: str, variable: str) -> dict[str, str | int]:
    for reason, count in found.skipped.items():
        _log.warning("map_entries_skipped", map=what, reason=reason, count=count)
    if not found.entries:
        raise ConfigurationError(
            f"the map of {what} is empty: Kubernetes has none, and {variable} is not set"
        )
    return found.entries
