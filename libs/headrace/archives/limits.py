from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """The limits of an archive; an archive beyond one of them is refused while it is read."""

    max_members: int = 20_000
    max_total_bytes: int = GIB
    """Inflated bytes in all, tar headers and padding included."""
    max_member_bytes: int = 256 * MIB
    max_ratio: int = 200
    """Inflated bytes per compressed byte, judged once more than ``ratio_floor_bytes`` are inflated."""
    ratio_floor_bytes: int = 16 * MIB
    max_depth: int = 32
    max_path_bytes: int = KIB
    max_extension_bytes: int = 64 * KIB
    """The body of one pax or GNU long-name header."""
    max_extension_records: int = 32
    """In one pax header."""
    max_pax_records: int = 160_000
    """In all pax headers; each costs time to read. Writers make up to eight for a member."""
    max_gzip_members: int = 20_000
    """Parallel compressors write one for every 64 KiB or more; each costs time to start, however empty."""
    host_tree: bool = False
    """The archive copies the file tree of a host: links, devices and FIFOs are members without data instead of
    a reason to refuse it, and names may hold a backslash (systemd's). Nothing here follows a link."""
