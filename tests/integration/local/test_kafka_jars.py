"""The jars that Kafka runs on, as Maven resolves them."""

import re
from pathlib import Path

from headrace.local import install

JAR = re.compile(r"(?P<name>[a-zA-Z][\w.]*?(?:-[a-zA-Z][\w.]*)*)-(?P<version>\d[\w.-]*)\.jar")
# The first release without what is known of those before it.
MENDED = {
    # CVE-2025-68161: the socket appender does not check whose certificate it is shown.
    "log4j-core": (2, 25, 3),
    # CVE-2025-12183, CVE-2025-66566: reads and shows memory beyond its buffers.
    "lz4-java": (1, 10, 1),
    # CVE-2025-48734: a property path reaches a class loader.
    "commons-beanutils": (1, 11, 0),
    # CVE-2015-6420, CVE-2015-7501: gadgets for deserialisation.
    "commons-collections": (3, 2, 2),
    # CVE-2023-43642: a chunk's length is believed.
    "snappy-java": (1, 1, 10, 4),
    # CVE-2024-29371, CVE-2023-51775: a token's iterations and compression cost what its sender likes.
    "jose4j": (0, 9, 6),
    # CVE-2022-1471: documents make objects of any class.
    "snakeyaml": (2, 0),
    # CVE-2025-52999: nesting without a bound.
    "jackson-core": (2, 15, 0),
    "kafka-clients": (4, 3, 1),
}


async def test_no_jar_is_of_a_release_with_a_known_fault():
    jars = await install.kafka_jars(print)
    found = versions(jars)
    assert found.keys() >= MENDED.keys(), sorted(found)
    assert {name: found[name] for name, least in MENDED.items() if found[name] < least} == {}
    # Kafka's own version of a library and ours must not stand side by side.
    assert len(found) == len(list(jars.glob("*.jar")))


def versions(jars: Path) -> dict[str, tuple[int, ...]]:
    matches = [match for jar in jars.glob("*.jar") if (match := JAR.fullmatch(jar.name))]
    return {
        match["name"]: tuple(int(part) for part in re.findall(r"\d+", match["version"])) for match in matches
    }
