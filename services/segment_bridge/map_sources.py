"""Where the two maps come from: each from its file where one is named, else from Kubernetes."""

from headrace.runtime.errors import ConfigurationError
from services.segment_bridge.map_files import Maps, ids_of, read_map, workspaces_of
from services.segment_bridge.settings import MapSettings, SegmentSettings


async def read_maps(segment: SegmentSettings, settings: MapSettings) -> Maps:
    """Read anew for each run: users and workspaces come and go."""
    ids, workspaces = {}, {}
    if segment.uid_map_file:
        ids = read_map(segment.uid_map_file, "UID_MAP_FILE")
    if segment.ws_map_file:
        workspaces = read_map(segment.ws_map_file, "WS_MAP_FILE")
    if not segment.uid_map_file or not segment.ws_map_file:
        raise ConfigurationError("UID_MAP_FILE and WS_MAP_FILE: not set")
    return Maps(
        ids_of(ids, "UID_MAP_FILE", numeric=settings.numeric_ids), workspaces_of(workspaces, "WS_MAP_FILE")
    )
