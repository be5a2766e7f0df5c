"""Shell scripts with the names of upstream's scripts; each runs one command of ``headrace segment``.

``python -m headrace_services.segment_bridge.scripts DIRECTORY`` writes them; the image is built with it.
Source: redhat-appstudio/segment-bridge, scripts.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# Each script with its command below `headrace segment`.
SCRIPTS: Final[Mapping[str, str]] = {
    "get-uid-map.sh": "maps uid",
    "get-workspace-map.sh": "maps workspace",
    "fetch-uj-records.sh": "fetch",
    "splunk-to-segment.sh": "transform",
    "segment-mass-uploader.sh": "upload",
    "segment-uploader.sh": "upload",
    "mk-segment-batch-payload.sh": "payload",
}
_SCRIPT: Final = """\
#!/bin/sh
# The document's {name}: headrace segment {words}.
{before}exec {headrace} segment {words} "$@"
"""


def write_scripts(
    directory: Path, headrace: str = "headrace", *, before: str = "", mode: int = 0o755
) -> None:
    """Write one file for each script.

    ``headrace`` is the command as shell text, ``before`` shell lines that run before it.
    """
    for name, words in SCRIPTS.items():
        path = directory / name
        path.write_text(
            _SCRIPT.format(name=name, words=words, headrace=headrace, before=before), encoding="utf-8"
        )
        path.chmod(mode)


if __name__ == "__main__":
    write_scripts(Path(sys.argv[1]))
