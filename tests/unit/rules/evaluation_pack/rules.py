from insights.core import Parser
from insights.core.filters import add_filter
from insights.core.plugins import (
    combiner,
    make_fail,
    make_fingerprint,
    make_info,
    make_metadata,
    make_metadata_key,
    make_none,
    make_pass,
    parser,
    rule,
)

from tests.unit.rules.evaluation_pack.specs import DemoSpecs, Everywhere

add_filter(DemoSpecs.filtered, ["ERROR", "é"], 5)


class Shown(Parser):
    def parse_content(self, content):
        lines = content if isinstance(content, list) else [repr(content)]
        self.shown = {"lines": lines, "file_name": self.file_name, "file_path": self.file_path}


def showing(spec, kind):
    shown = type(f"Shown_{spec.__name__}", (Shown,), {"__module__": __name__})
    parser(spec)(shown)

    def report(found):
        found = found if isinstance(found, list) else [found]
        return kind(spec.__name__.upper(), shown=[one.shown for one in found])

    report.__name__ = report.__qualname__ = f"report_{spec.__name__}"
    rule(shown, tags=["b", "a"], links={"kcs": [spec.__name__]})(report)
    return shown, report


parsers_and_rules = [
    showing(spec, kind)
    for spec, kind in [
        (DemoSpecs.text, make_fail),
        (DemoSpecs.filtered, make_fail),
        (DemoSpecs.raw, make_pass),
        (DemoSpecs.linked, make_info),
        (DemoSpecs.linked_out, make_info),
        (DemoSpecs.directory, make_info),
        (DemoSpecs.first, make_fail),
        (DemoSpecs.many, make_fail),
        (DemoSpecs.one_of_many, make_fail),
        (DemoSpecs.any_of, make_fingerprint),
        (DemoSpecs.named, make_fail),
        (DemoSpecs.names, make_fail),
        (DemoSpecs.too_many, make_fail),
        (DemoSpecs.overridden, make_fail),
        (DemoSpecs.absent, make_fail),
    ]
]


@rule(Everywhere.list_of_names, Everywhere.globbed_names)
def lists(names, globbed):
    return make_info("LISTS", names=names, globbed=globbed)


@rule(DemoSpecs.text, optional=[DemoSpecs.absent])
def streamed(text, absent):
    return make_info("STREAMED", lines=list(text.stream()), absent=absent, path=text.relative_path)


@combiner(DemoSpecs.text)
def fails(text):
    raise RuntimeError("as it should")


@rule(fails)
def after_a_failure(_):
    return make_fail("NEVER")


@rule(DemoSpecs.text)
def fails_itself(text):
    raise ValueError(f"{len(text.content)} lines")


@rule(DemoSpecs.text)
def of_the_wrong_kind(text):
    return "text"


@rule([DemoSpecs.text, DemoSpecs.absent])
def metadata(_text, _absent):
    return make_metadata(size=3, tuple=(1, 2))


@rule()
def version():
    return make_metadata_key("version", 2)


@rule()
def without_a_result():
    return make_none()


@rule()
def returning_none():
    return None


@rule(DemoSpecs.text)
def too_long(text):
    return make_fail("TOO_LONG", text="x" * 70_000)
