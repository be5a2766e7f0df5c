"""Who looks on."""

from typing import Any


class Watcher:
    """Is told of what happens by methods of fixed names."""

    def watch(self, watched: Any) -> None:
        """Begin to watch."""
        watched.add_watcher(self)


class EngineWatcher(Watcher):
    """Looks at the engine."""

    def watch_broker(self, broker: Any) -> None:
        """Before an archive is looked at."""

    def pre_extract(self, broker: Any, path: str) -> None:
        """Before an archive is unpacked."""


class ConsumerWatcher(Watcher):
    """Looks at the consumer."""

    def on_recv(self, input_msg: Any) -> None:
        """A message came."""

    def on_download(self, path: str) -> None:
        """Its archive was fetched."""

    def on_process(self, input_msg: Any, results: Any) -> None:
        """Rules ran on it."""

    def on_consumer_success(self, input_msg: Any, broker: Any, results: Any) -> None:
        """All went well."""

    def on_consumer_failure(self, input_msg: Any, exception: BaseException) -> None:
        """Something failed."""

    def on_consumer_complete(self, input_msg: Any) -> None:
        """The message is done with."""
