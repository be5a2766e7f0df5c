"""A package of rules that do as an archive bids them: hang, crash, bloat, or answer."""
