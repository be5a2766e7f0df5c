"""A cache of experiments between requests."""

from collections import OrderedDict
from collections.abc import Iterable

from headrace_services.kruize.experiments import Experiment
from headrace_services.kruize.store import ExperimentStore


class ExperimentCache:
    """The most recently used experiments, by name.

    The meaning of an experiment's number never changes, so a cached experiment is valid as long as its number exists; a
    failed store under a number (`ResultStore.add`) removes it from the cache.
    """

    def __init__(self, store: ExperimentStore, size: int) -> None:
        self._store = store
        self._size = size
        self._known: OrderedDict[str, Experiment] = OrderedDict()

    async def of(self, names: Iterable[str]) -> dict[str, Experiment]:
        """Return the existing experiments with these names."""
        wanted = set(names)
        found = {name: self._known[name] for name in wanted if name in self._known}
        for name in found:
            self._known.move_to_end(name)
        if missing := wanted - found.keys():
            for experiment in await self._store.by_name(sorted(missing)):
                found[experiment.experiment_name] = experiment
                self._known[experiment.experiment_name] = experiment
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return found

    def forget(self, name: str) -> None:
        """Remove an experiment, so that it is read again next time."""
        self._known.pop(name, None)
