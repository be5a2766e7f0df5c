"""The limits of a usage CSV, and its refusal."""

from dataclasses import dataclass

from headrace.runtime.errors import Rejected


class CsvRejected(Rejected):
    """The file cannot be worked on; the text says what is wrong with it."""


@dataclass(frozen=True)
class CsvLimits:
    """Limits of one file.

    ``max_partition_bytes`` bounds what is kept of the rows in memory; what is more goes to a temporary file.
    ``max_columns`` are those of the header: a parser keeps room for each of them, however short the rows.
    ``max_malformed_share`` is the share of rows that may have the wrong number of fields and the like before the
    whole file is refused. ``max_names_bytes`` are those of all containers' names together. A name
    (``max_name_bytes``) is that of a namespace, an object or a container.
    """

    max_rows: int = 5_000_000
    max_field_bytes: int = 1 << 20
    max_record_bytes: int = 2 << 20
    max_header_bytes: int = 64 << 10
    max_columns: int = 1000
    max_malformed_share: float = 0.01
    max_name_bytes: int = 253
    max_image_bytes: int = 1024
    max_names_bytes: int = 24 << 20
    max_containers: int = 100_000
    max_intervals: int = 20_000
    batch_bytes: int = 4 << 20
    max_partition_bytes: int = 96 << 20
    max_workload_groups: int = 10_000
