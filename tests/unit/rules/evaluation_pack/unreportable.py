"""Responses that JSON cannot hold."""

from insights.core.plugins import make_fail, make_info, make_metadata, rule


class Odd:
    pass


@rule()
def with_an_object():
    return make_fail("WITH_AN_OBJECT", found=Odd())


@rule()
def with_a_set():
    return make_info("WITH_A_SET", found={1})


@rule()
def with_nan():
    return make_fail("WITH_NAN", ratio=float("nan"))


@rule()
def fine():
    return make_fail("FINE")


@rule()
def metadata():
    return make_metadata(odd=Odd(), even=2)
