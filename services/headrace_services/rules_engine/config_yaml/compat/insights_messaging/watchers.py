"""The base classes of watchers."""

from typing import Any


class Watcher:
    """A watcher, whose methods are called at events."""

    def watch(self, watched: Any) -> None:
        """Begin to watch a consumer or an engine."""
        watched.add_watcher(self)


class EngineWatcher(Watcher):
    """A watcher of the engine."""

    def watch_broker(self, broker: Any) -> None:
        """Called before the rules run."""

    def pre_extract(self, broker: Any, path: str) -> None:
        """Called before an archive is extracted."""


class ConsumerWatcher(Watcher):
    """A watcher of the consumer."""

    def on_recv(self, input_msg: Any) -> None:
        """Called when a message has arrived."""

    def on_download(self, path: str) -> None:
        """Called when its archive is downloaded."""

    def on_process(self, input_msg: Any, results: Any) -> None:
        """Called when the rules have run."""

    def on_consumer_success(self, input_msg: Any, broker: Any, results: Any) -> None:
        """Called after success."""

    def on_consumer_failure(self, input_msg: Any, exception: BaseException) -> None:
        """Called after a failure."""

    def on_consumer_complete(self, input_msg: Any) -> None:
        """Called when the message has ended."""
