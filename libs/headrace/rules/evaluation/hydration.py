"""The component results in archives of current insights-clients ("core3"): JSON files beside the collected files."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from insights.core import dr, serde, spec_factory
from insights.core.exceptions import ContentException

from headrace.rules.evaluation.providers import Place

_LOG = logging.getLogger(__name__)
_META_DATA = "meta_data"
_DATA = "data"

_PROVIDERS = {
    dr.get_name(kind): serialized
    for kind, serialized in {
        spec_factory.CommandOutputProvider: spec_factory.SerializedOutputProvider,
        spec_factory.TextFileProvider: spec_factory.SerializedOutputProvider,
        spec_factory.DatasourceProvider: spec_factory.SerializedOutputProvider,
        spec_factory.ContainerFileProvider: spec_factory.SerializedOutputProvider,
        spec_factory.ContainerCommandProvider: spec_factory.SerializedOutputProvider,
        spec_factory.RawFileProvider: spec_factory.SerializedRawOutputProvider,
    }.items()
}
_RESTORED = ("rc", "cmd", "args", "image", "engine", "container_id")


def hydrate(broker: dr.Broker, place: Place, by_name: Mapping[str, Any]) -> None:
    """Put the archive's results of the components in ``by_name`` into the broker; skip invalid ones."""
    data = replace(place, base=place.below(_DATA))
    for path in place.tree.glob(place.base, f"{_META_DATA}/*"):
        try:
            document = json.loads(place.tree.read(path) or b"")
            component = by_name.get(document["name"])
            if component is None:
                continue
            results = _restored_results(document["results"], data, component)
            if results:
                broker[component] = results
        except ContentException as error:
            _LOG.debug("%s: %s", path, error)
        except Exception as error:  # noqa: BLE001  # one bad file says nothing about the others
            _LOG.warning("%s: %s", path, error)


def _restored_results(results: Any, data: Place, component: Any) -> Any:
    if isinstance(results, list):
        return [_restored(result, data, component) for result in results]
    return results and _restored(results, data, component)


def _restored(result: dict[str, Any], data: Place, component: Any) -> Any:
    kind, stored = result["type"], result["object"]
    if (serialized := _PROVIDERS.get(kind)) is not None:
        provider = data.provider(serialized, stored["relative_path"], spec=component)
        for name in _RESTORED:
            if name in stored:
                setattr(provider, name, stored[name])
        return provider
    if kind not in serde.DESERIALIZERS:
        raise ValueError(f"Unrecognized type: {kind}")
    restored_type, restore = serde.DESERIALIZERS[kind]
    return restore(restored_type, stored, root=data.root, ctx=data.context, ds=component)
