import re

from tests.bench.__main__ import OF_S3, PARTS
from tests.bench.report import PAGE


def test_the_page_has_a_section_of_figures_for_every_part():
    text = PAGE.read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}
    assert list(sections) == [part.TITLE for part in PARTS]
    for part in PARTS:
        assert part.TEXT in sections[part.TITLE], part.TITLE
        server = " on (SeaweedFS|MinIO)" if part in OF_S3 else ""
        measured = rf"^Measured on \d{{4}}-\d\d-\d\d{server}\.$"
        assert re.search(measured, sections[part.TITLE], re.MULTILINE), part.TITLE
