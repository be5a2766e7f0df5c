from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """The limits of an archive; an archive beyond one of them is refused while it is read."""

    max_members: int = 20_000
    max_total_bytes: int = GIB
    """Inflated bytes of the whole archive, including tar headers and padding."""
    max_member_bytes: int = 256 * MIB
    max_ratio: int = 200
    """Inflated bytes per compressed byte, checked once more than ``ratio_floor_bytes`` are inflated."""
    ratio_floor_bytes: int = 16 * MIB
    max_depth: int = 32
    max_path_bytes: int = KIB
    max_extension_bytes: int = 64 * KIB
    """The body of one pax or GNU long-name header."""
    max_extension_records: int = 32
    """Records in one pax header."""
    max_pax_records: int = 160_000
    """Records in all pax headers; each costs time to parse. Writers make up to eight for a member."""
    max_gzip_members: int = 20_000
    """Parallel compressors write one gzip member for each 64 KiB or more; each costs time to start, even if empty."""
    host_tree: bool = False
    """Whether the archive is a copy of a host's file tree.

    Links, devices and FIFOs are then members without data instead of a reason to refuse the archive, and names may
    contain a backslash (as systemd's do). Links are never followed.
    """
