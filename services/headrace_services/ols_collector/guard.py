"""The limit of the data on disk."""

import logging
import os
from dataclasses import dataclass

from headrace_services.ols_collector.scanning import Scanner
from headrace_services.ols_collector.scrubbing import shown

_log = logging.getLogger("ols_collector")


@dataclass(frozen=True)
class Guard:
    """Deletes the oldest data beyond ``limit_bytes``, whether it was sent or not."""

    scanner: Scanner
    limit_bytes: int

    def enforce(self) -> int:
        """Return the number of deleted files. As in upstream, the rest is less than the limit, not equal to it."""
        left = self.scanner.scan(parse=False).complete
        if left.total_bytes <= self.limit_bytes:
            return 0
        _log.error(
            "data folder size is bigger than the maximum allowed size: %d > %d",
            left.total_bytes, self.limit_bytes,
        )  # fmt: skip
        _log.info("removing files to fit the data into the limit...")
        left.oldest_first()
        excess, removed = left.total_bytes - self.limit_bytes, 0
        for file in left:
            if excess < 0:
                break
            path = str(self.scanner.root / file.name)
            try:
                os.unlink(path)  # noqa: PTH108 -- many times
            except FileNotFoundError:
                pass
            except OSError:
                _log.error("failed to remove '%s'", shown(path))
                continue
            else:
                _log.debug("removing '%s'", shown(path))
                removed += 1
            excess -= file.stamp.size_bytes
        return removed
