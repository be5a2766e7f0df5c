"""The parsers of an archive's files, and the combiners of several files."""
