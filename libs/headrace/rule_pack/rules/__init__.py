"""The rules: one module each, whose name and key are what a report calls it; ``report`` judges."""
