"""Archives made to hurt: each is a builder, and a piece of the reason it must be refused with."""

import gzip
import random
from collections.abc import Callable, Iterator

from tests.unit.archives.tars import END, file, gz, header, long_name, packed, padded, pax

MIB = 1024 * 1024


def repeated(block: bytes, times: int, before: bytes = b"") -> bytes:
    """gzip of ``before`` and then many times ``block``, as several gzip members so that making it is cheap."""
    return gz(before) + gz(block) * times


def bomb() -> bytes:
    """1 GiB of zeros in about 1 MiB."""
    return repeated(bytes(8 * MIB), 128, before=header("bomb", 250 * MIB))


def bomb_below_the_ratio() -> bytes:
    """Each member is as large as may be and the ratio stays allowed: only the total stops it."""
    noise = random.Random(1)
    block = b"".join(noise.randbytes(64) + bytes(10 * 1024 - 64) for _ in range(800))
    data = gz(block)
    return b"".join(gz(header(f"m{number}", 25 * len(block))) + data * 25 for number in range(6))


def unique_members(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield header(f"m{number}")


def extension_flood() -> bytes:
    records = pax({f"k{number}": "v" for number in range(32)})
    return gz(b"".join(records + header(f"m{number}") for number in range(20_001)), 1)


def long_names() -> bytes:
    return gz(b"".join(long_name(b"%d/" % number + b"n" * 1000) + header("n") for number in range(20_001)), 1)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip bomb of 1 GiB": (bomb, "200 times its size"),
    "zeros in place of a tar": (lambda: repeated(bytes(8 * MIB), 130), "200 times its size"),
    "bomb below the ratio": (bomb_below_the_ratio, "more than 1073741824 bytes"),
    "bomb in a bomb": (lambda: gz(bomb()), "this is not a tar"),
    "one million members": (lambda: repeated(header("d/", flag=b"5") * 10**4, 100), "20000 members"),
    "one million names": (lambda: repeated(b"".join(unique_members(20_001)), 50), "20000 members"),
    "one million empty gzip members": (lambda: gz(b"") * 10**6, "20000 members"),
    "one million global headers": (
        lambda: gz(pax({"comment": "x"}, b"g") * 10**5, 1),
        "20000 members",
    ),
    "pax records without end": (extension_flood, "160000 pax records"),
    "long names without end": (long_names, "20000 members"),
    "huge pax header": (lambda: packed(header("p", 200 * MIB, b"x"), bytes(MIB)), "pax header has"),
    "huge GNU long name": (lambda: packed(header("p", 200 * MIB, b"L"), bytes(MIB)), "long-name header has"),
    "pax path of 60 KiB": (lambda: packed(pax({"path": "n" * 60_000}), file("n")), "longer than 1024 bytes"),
    "1 000 directories deep": (lambda: packed(pax({"path": "d/" * 500 + "n"}), file("n")), "deeper than 32"),
    "claimed exabytes": (
        lambda: packed(header("n", size_field=b"\x80" + b"\1" * 11)),
        "the limit is 268435456",
    ),
    "GNU sparse": (lambda: packed(header("s", flag=b"S")), "sparse file"),
    "pax sparse": (lambda: packed(pax({"GNU.sparse.realsize": "1" + "0" * 15}), file("s")), "sparse file"),
    "parent name": (lambda: packed(file("../../outside", b"x")), "'..' in its name"),
    "parent name in pax": (lambda: packed(pax({"path": "a/../../outside"}), file("n")), "'..' in its name"),
    "parent name in a long name": (lambda: packed(long_name(b"../outside"), file("n")), "'..' in its name"),
    "absolute name": (lambda: packed(file("/tmp/outside", b"x")), "absolute name"),  # noqa: S108
    "symbolic link out": (lambda: packed(header("l", flag=b"2", link=b"/"), file("l/x")), "symbolic link"),
    "hard link out": (lambda: packed(header("l", flag=b"1", link=b"../../x")), "hard link"),
    "character device": (lambda: packed(header("d", flag=b"3")), "character device"),
    "block device": (lambda: packed(header("d", flag=b"4")), "block device"),
    "FIFO": (lambda: packed(header("p", flag=b"6")), "FIFO"),
    "duplicate names": (lambda: packed(file("config/id", b"1"), file("./config//id", b"2")), "two members"),
    "NUL in a name": (lambda: packed(file(b"ok\0.sh")), "has a NUL in its name"),
    "name that is not UTF-8": (lambda: packed(file(b"\xc3\x28")), "not UTF-8"),
    "archive after the archive": (lambda: packed(file("a"), END, file("b")), "followed by more data"),
    "endless padding": (
        lambda: packed(file("a")) + bytes(64 * MIB) + b"x",
        "followed by bytes that are not gzip",
    ),
    "nothing but noise": (lambda: random.Random(3).randbytes(MIB), "not gzip but"),
    "noise in gzip": (lambda: gzip.compress(random.Random(4).randbytes(MIB)), "this is not a tar"),
}


def ordinary() -> bytes:
    """An archive to be accepted, of about 64 KiB."""
    content = random.Random(5)
    return packed(*(file(f"config/{number}.json", content.randbytes(800)) for number in range(80)))


def with_nested_archive() -> bytes:
    """Nested archives are data like any other: never opened."""
    return packed(file("inner.tar.gz", padded(bomb())))
