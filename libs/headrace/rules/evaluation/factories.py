"""The spec factories of insights.core.spec_factory, evaluated on files in memory.

The specs remain the objects of their packages; only the reading of files is replaced. A subclass of a factory is not
replaced: it runs unchanged, and if it opens a path, the archive is evaluated on disk.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from insights.core import spec_factory
from insights.core.dr import Broker
from insights.core.exceptions import ContentException, NoFilterException

from headrace.rules.evaluation.providers import Place
from headrace.rules.evaluation.virtual import ROOT, refuse

Read = Callable[[Any, Broker, Place], Any]


def _simple_file(spec: Any, _broker: Broker, place: Place) -> Any:
    path = place.context.locate_path(spec.path)
    return place.provider(spec.kind, path, spec=spec, save_as=spec.save_as)


def _first_file(spec: Any, _broker: Broker, place: Place) -> Any:
    for path in spec.paths:
        try:
            return place.provider(spec.kind, place.context.locate_path(path), spec=spec, save_as=spec.save_as)
        except NoFilterException:
            raise
        except Exception:  # noqa: BLE001, S112  # the next one may do, whatever is wrong with this
            continue
    raise ContentException(f"None of [{', '.join(spec.paths)}] found.")


def _glob_file(spec: Any, _broker: Broker, place: Place) -> Any:
    patterns = (place.context.locate_path(pattern) for pattern in spec.patterns)
    results = _collected(spec, patterns, place)
    if not results:
        raise ContentException(f"[{', '.join(spec.patterns)}] didn't match.")
    if len(results) > spec.max_files:
        raise ContentException(
            f"Number of files returned [{len(results)}] is over the {spec.max_files} file limit, please refine "
            "the specs file pattern to narrow down results"
        )
    return results


def _foreach_collect(spec: Any, broker: Broker, place: Place) -> Any:
    source = broker[spec.provider]
    if isinstance(source, spec_factory.ContentProvider):
        source = source.content
    if not isinstance(source, (list, set)):
        source = [source]
    patterns = (place.context.locate_path(spec.path % element) for element in source)
    results = _collected(spec, patterns, place)
    if not results:
        raise ContentException(f"No results found for [{spec.path}]")
    return results


def _collected(spec: Any, patterns: Iterable[str], place: Place) -> list[Any]:
    results = []
    tree, skipped = place.tree, len(place.below(""))
    for pattern in patterns:
        for path in tree.glob(place.base, pattern):
            resolved = tree.resolve(path)
            if resolved is not None and tree.is_directory(resolved):
                continue
            if spec.ignore and spec.ignore_func(f"{ROOT}/{path}"):
                continue
            try:
                results.append(place.provider_at(resolved, spec.kind, path[skipped:], spec, spec.save_as))
            except NoFilterException:
                raise
            except Exception:  # noqa: BLE001, S112  # as upstream: what cannot be read is left out
                continue
    return results


def _listdir(spec: Any, _broker: Broker, place: Place) -> list[str]:
    names = place.tree.list_directory(place.below(_located(spec, place)))
    if names is None:
        raise ContentException(f"No such directory: {spec.path!r}")
    return sorted(name for name in names if not spec.ignore_func(name))


def _listglob(spec: Any, _broker: Broker, place: Place) -> list[str]:
    found = place.tree.glob(place.base, _located(spec, place))
    relative = (os.path.relpath(path, start=place.base or ".") for path in found)
    return sorted(path for path in relative if not spec.ignore_func(path))


def _located(spec: Any, place: Place) -> str:
    located: str = place.context.locate_path(f"{place.root}/{spec.path.lstrip('/')}")
    if not located.startswith(f"{place.root}/"):
        refuse(f"{type(place.context).__name__} places files outside the archive")
    return located.removeprefix(f"{place.root}/")


READERS: dict[type, Read] = {
    spec_factory.simple_file: _simple_file,
    spec_factory.first_file: _first_file,
    spec_factory.glob_file: _glob_file,
    spec_factory.foreach_collect: _foreach_collect,
    spec_factory.listdir: _listdir,
    spec_factory.listglob: _listglob,
}
"""The reading function of each factory, by its exact type."""
