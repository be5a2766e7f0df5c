"""The limits of a usage CSV, and the exception for a file that is refused."""

from dataclasses import dataclass

from headrace.runtime.errors import Rejected


class CsvRejected(Rejected):
    """The file is not usable; the text says why."""


@dataclass(frozen=True)
class CsvLimits:
    """The limits of one file.

    ``max_partition_bytes`` limits the rows in memory; further rows go to a temporary file. ``max_columns`` limits the
    header, because a parser allocates memory for each column, however short the rows are. ``max_malformed_share`` is
    the share of malformed rows above which the whole file is refused. ``max_names_bytes`` limits all names of
    containers together, ``max_name_bytes`` each name of a namespace, an object or a container.
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
