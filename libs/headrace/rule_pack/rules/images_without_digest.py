"""Containers whose image is named by a tag, which may become another image."""

import re
from collections import Counter
from typing import Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.pods import MAX_IMAGE_CHARACTERS, Pod, RunningContainers
from headrace.rules.reading import text

ERROR_KEY: Final = "IMAGES_WITHOUT_DIGEST"
GOOD_KEY: Final = "IMAGES_WITH_DIGEST"
# Catalogs are polled by their tag, on purpose.
_CATALOG: Final = re.compile(r"registry\.redhat\.io/redhat/[a-z-]+-index:")


@rule([RunningContainers, Pod], tags=["images", "security"])
def report(running: RunningContainers | None, pods: list[Pod] | None) -> Response | None:
    """Hit when an image that runs, or that a pod asks for, has no sha256 digest; the most used first."""
    counts = Counter(running.counts if running else {})
    for image in {image for pod in pods or () for image in pod.images if image}:
        counts.setdefault(text(image, limit=MAX_IMAGE_CHARACTERS), 1)
    if not counts:
        return None
    tagged = {image: count for image, count in counts.items() if _is_tagged(image)}
    if not tagged:
        return make_pass(GOOD_KEY, images=len(counts))
    found = [
        {"image": image, "containers": count}
        for image, count in sorted(tagged.items(), key=lambda one: (-one[1], one[0]))
    ]
    return make_fail(ERROR_KEY, **offenders("images", found))


def _is_tagged(image: str) -> bool:
    return not image.startswith("sha256:") and "@sha256:" not in image and _CATALOG.match(image) is None
