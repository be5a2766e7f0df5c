"""`sample`: archives to try things with."""

from pathlib import Path

from headrace.cli.output import Output
from headrace.runtime.errors import ConfigurationError
from headrace.samples import KINDS, SampleOptions


def show_kinds() -> None:
    """Print what can be made."""
    rows = [
        (kind.name, ", ".join(kind.file_names), kind.content_type, kind.description)
        for kind in KINDS.values()
    ]
    Output().table(("kind", "files", "content type", "what it is"), rows)


def write(kind: str, directory: Path, options: SampleOptions) -> None:
    """Write one kind and print what was written."""
    if kind not in KINDS:
        raise ConfigurationError(f"there is no sample {kind!r}; expected one of {', '.join(KINDS)}")
    output = Output()
    for path in KINDS[kind].generate(directory, options):
        output.line(f"{path}  {path.stat().st_size} bytes")
        if not KINDS[kind].names_cluster:
            output.line(
                f"  of cluster {options.cluster()}: headrace send {path} --cluster {options.cluster()}"
            )
