"""`sample`: writes sample archives."""

from pathlib import Path

from headrace.cli.output import Output
from headrace.runtime.errors import ConfigurationError
from headrace.samples import KINDS, SampleOptions


def show_kinds() -> None:
    """Print the kinds of samples."""
    rows = [
        (kind.name, ", ".join(kind.file_names), kind.content_type, kind.description)
        for kind in KINDS.values()
    ]
    Output().table(("kind", "files", "content type", "contents"), rows)


def write(kind: str, directory: Path, options: SampleOptions) -> None:
    """Write a sample and print its files."""
    if kind not in KINDS:
        raise ConfigurationError(f"got sample {kind!r}, expected one of {', '.join(KINDS)}")
    output = Output()
    for path in KINDS[kind].generate(directory, options):
        output.line(f"{path}  {path.stat().st_size} bytes")
        if not KINDS[kind].names_cluster:
            output.line(
                f"  of cluster {options.cluster()}: headrace send {path} --cluster {options.cluster()}"
            )
