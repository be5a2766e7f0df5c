"""What is taken from others is named by its digest, listed, and looked up among known vulnerabilities."""

import json
import re
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest

from headrace.local import install
from headrace.local.jars import check_jars, locked_jars
from headrace.runtime.errors import ConfigurationError
from tests.composed import ROOT

DEPLOY = ROOT / "deploy"
LOCK = DEPLOY / "images.lock"
LOCKS = ROOT / "locks"
PUBLIC = re.compile(r"\b(?:docker\.io|quay\.io|ghcr\.io|registry\.k8s\.io)/[^\s}\"'`]+")
PINNED = re.compile(r"[a-z0-9.-]+/[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
AUDIT = ROOT / ".venv-audit" / "bin" / "python"


def run(*words, **more):
    return subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        **more,
    )


def in_audit(script, *words):
    return run(
        AUDIT, DEPLOY / script, *words, env={"PYTHONPATH": str(ROOT / "libs"), "PATH": "/usr/bin:/bin"}
    )


@pytest.fixture(scope="module")
def tools():
    """The locked tools, in an environment of their own that is made once."""
    made = run("make", "audit-tools", f"PYTHON={sys.executable}")
    if made.returncode:
        pytest.skip(f"the tools of locks/audit.txt cannot be installed here: {made.stderr[-300:]}")


def test_every_public_image_is_named_by_its_locked_digest():
    """A tag may be moved by whoever owns it: then another program runs under the same name."""
    locked = {line for line in LOCK.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"}
    assert all(PINNED.fullmatch(line) for line in locked)
    files = [ROOT / "compose.yaml", *DEPLOY.glob("*.yaml"), *DEPLOY.rglob("Containerfile")]
    named = {image for file in files for image in PUBLIC.findall(file.read_text(encoding="utf-8"))}
    assert len(named) >= 4
    assert sorted(named - locked) == []


def test_a_release_is_not_built_on_a_base_that_may_change():
    refused = run(
        sys.executable, "deploy/images.py", "app", "--release", "--base", "docker.io/library/python:3.11-slim"
    )
    assert refused.returncode == 2
    assert "--release: got docker.io/library/python:3.11-slim, expected name:tag@sha256:" in refused.stderr


def test_image_builds_take_pip_of_a_locked_hash():
    assert re.search(
        r"^pip==\S+ \\\n    --hash=sha256:", (ROOT / "locks" / "pip.txt").read_text(encoding="utf-8")
    )
    calls = re.findall(r"pip\(\*download, (.*)\)", (DEPLOY / "images.py").read_text(encoding="utf-8"))
    assert len(calls) == 2
    assert all('"--require-hashes"' in call for call in calls)


@pytest.mark.parametrize(
    "lock", [*sorted((ROOT / "locks").glob("*.txt")), install.JAVA_LOCK], ids=lambda path: path.name
)
def test_every_lock_has_hashes_and_no_host(lock):
    text = lock.read_text(encoding="utf-8")
    packages = re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)
    assert packages
    assert len(re.findall(r"^\S+==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)) == len(
        packages
    )
    assert "://" not in text


async def test_the_locked_jars_are_the_installed_ones():
    check_jars(await install.kafka_jars(print))
    assert {jar.version for jar in locked_jars() if jar.artifact == "kafka_2.13"} == {install.kafka_version()}


def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path):
    (tmp_path / "good-1.jar").write_bytes(b"good")
    (tmp_path / "bad-1.jar").write_bytes(b"bad")
    (tmp_path / "more-1.jar").write_bytes(b"more")
    digest = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"  # of b"good"
    (tmp_path / "lock").write_text(
        f"a.b:good:1 {digest} MIT\na.b:bad:1 {digest} MIT\na.b:gone:1 {digest} MIT\n", encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"bad-1\.jar, gone-1\.jar, more-1\.jar; .* lock-jars"):
        check_jars(tmp_path, tmp_path / "lock")
    (tmp_path / "lock").write_text("a.b:good:1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"got 'a\.b:good:1', expected group:artifact:version"):
        locked_jars(tmp_path / "lock")


def test_the_page_of_third_parties_is_current():
    sys.path.insert(0, str(DEPLOY))
    try:
        import notices
    finally:
        sys.path.remove(str(DEPLOY))
    written = notices.PAGE.read_text(encoding="utf-8")
    assert notices.page(written) == written, "renew it with: make docs"
    for lock in (ROOT / "locks" / "runtime.txt", ROOT / "locks" / "jgo.txt", install.JAVA_LOCK):
        for name, version in notices.pinned(lock):
            assert f"| {name} | {version} | " in written
    assert "see its wheel" not in written


DPKG = """\
Package: base-files
Status: install ok installed
Architecture: amd64
Version: 12.4+deb12u8

Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: 3.0.14-1~deb12u1

Package: tar
Status: install ok installed
Architecture: amd64
Source: tar (1.34+dfsg-1.2+deb12u1)
Version: 1.34+dfsg-1.2+deb12u1+b1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


@pytest.fixture
def dpkg(tmp_path):
    (tmp_path / "status").write_text(DPKG, encoding="utf-8")
    return tmp_path / "status"


def pinned(lock):
    text = lock.read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {f"pkg:pypi/{name}@{version}" for name, version in found}


def test_the_bills_of_materials_are_the_locks_and_the_same_each_time(tools, tmp_path, dpkg):
    names = ("sbom.cdx.json", "sbom-image.cdx.json")
    texts = []
    for directory in ("one", "two"):
        made = in_audit("sbom.py", "--output", tmp_path / directory, "--dpkg", dpkg)
        assert made.returncode == 0, made.stderr
        texts.append([(tmp_path / directory / name).read_text(encoding="utf-8") for name in names])
    assert texts[0] == texts[1]
    bills = [json.loads(text) for text in texts[0]]
    assert {(bill["bomFormat"], bill["specVersion"]) for bill in bills} == {("CycloneDX", "1.6")}
    installed, image = ({item["purl"] for item in bill["components"]} for bill in bills)
    jars = {f"pkg:maven/{jar.group}/{jar.artifact}@{jar.version}?type=jar" for jar in locked_jars()}
    assert installed == pinned(LOCKS / "run.txt") | pinned(install.JAVA_LOCK) | jars
    assert {purl for purl in installed if "kafka-clients" in purl} == {
        f"pkg:maven/org.apache.kafka/kafka-clients@{install.kafka_version()}?type=jar"
    }
    assert image == pinned(LOCKS / "runtime.txt") | {
        "pkg:deb/debian/base-files@12.4%2Bdeb12u8?arch=amd64&distro=debian-12",
        "pkg:deb/debian/libssl3@3.0.14-1~deb12u1?arch=amd64&distro=debian-12",
        "pkg:deb/debian/tar@1.34%2Bdfsg-1.2%2Bdeb12u1%2Bb1?arch=amd64&distro=debian-12",
    }


def advisory(package="requests", ecosystem="PyPI", *, ident="TEST-1", events=(), versions=(), **more):
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    named = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": ranges,
        "versions": list(versions),
    }
    return {
        "id": ident,
        "modified": "2026-01-02T00:00:00Z",
        "summary": "made up",
        "affected": [named],
        **more,
    }


UNRELATED = [
    advisory("nobody-has-this", ident="TEST-0", versions=["1"]),
    advisory("no:body", "Maven", ident="TEST-00"),
]
FROM_ZERO = {"introduced": "0"}


@pytest.fixture
def audited(tools, tmp_path):
    """Run the audit on one pinned package (and Kafka's jars) with these advisories."""

    def audit(
        *advisories,
        accepted="",
        lock="Some.Package==1.10.0 \\\n    --hash=sha256:00\n",
        basis=UNRELATED,
        more=(),
    ):
        folder = tmp_path / "advisories"
        (folder / "PyPI").mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / "PyPI" / "all.zip", "w") as archive:
            for number, item in enumerate([*basis, *advisories]):
                archive.writestr(f"{number}.json", json.dumps(item))
        (tmp_path / "lock.txt").write_text(lock, encoding="utf-8")
        (tmp_path / "accepted.txt").write_text(accepted, encoding="utf-8")
        words = ("--lock", tmp_path / "lock.txt", "--accepted", tmp_path / "accepted.txt")
        return in_audit("audit.py", "--advisories", folder, *words, *more)

    return audit


def test_a_package_of_the_image_that_debian_has_fixed_is_named(audited, dpkg):
    of_debian = partial(advisory, "openssl", versions=["3.0.14-1~deb12u1"])
    done = audited(
        of_debian("Debian:12", ident="DSA-1", events=[FROM_ZERO, {"fixed": "3.0.15-1~deb12u1"}]),
        of_debian("Debian:12", ident="CVE-NOT-FIXED", events=[FROM_ZERO]),
        of_debian("Debian:11", ident="DSA-OTHER", events=[FROM_ZERO, {"fixed": "9"}]),
        # A rebuild has the version of its source.
        advisory("tar", "Debian:12", ident="DSA-2", events=[FROM_ZERO, {"fixed": "1.34+dfsg-1.2+deb12u1"}]),
        more=("--dpkg", dpkg),
    )
    assert (done.returncode, done.stdout.splitlines()[:-1]) == (
        1, ["openssl 3.0.14-1~deb12u1 DSA-1 fixed in 3.0.15-1~deb12u1 made up"]
    )  # fmt: skip


def test_an_audit_of_an_image_needs_advisories_of_its_debian(audited, dpkg, tmp_path):
    without = audited(more=("--dpkg", dpkg))
    assert without.returncode == 2
    assert "has no advisory of Debian:12: expected Debian:12/all.zip" in without.stderr
    (tmp_path / "empty").touch()
    empty = audited(more=("--dpkg", tmp_path / "empty"))
    assert empty.returncode == 2
    assert "lists no installed package, expected an image's /var/lib/dpkg/status" in empty.stderr


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (advisory("some-package", versions=["1.10.0"]), "affected"),
        (advisory("some_package", events=[FROM_ZERO, {"fixed": "1.10.1"}]), "fixed in 1.10.1"),
        (advisory("some-package", events=[FROM_ZERO]), "not fixed"),
        (advisory("some-package", events=[{"introduced": "1.9"}, {"last_affected": "1.10.0"}]), "not fixed"),
        (
            advisory("some-package", events=[{"fixed": "1.2"}, {"introduced": "1.9"}, FROM_ZERO]),
            "fixed in 1.2",
        ),
    ],
    ids=["listed", "range", "from the first on", "the last affected", "events in any order"],
)
def test_a_locked_package_with_a_known_vulnerability_is_named(audited, found, why):
    done = audited(found)
    assert done.returncode == 1, done.stderr
    assert f"some-package 1.10.0 TEST-1 {why} made up\n" in done.stdout
    assert (
        "audit: 1 known vulnerabilities (3 advisories, the newest of 2026-01-02; 0 accepted)" in done.stdout
    )


def test_a_locked_jar_with_a_known_vulnerability_is_named(audited):
    version = next(jar.version for jar in locked_jars() if jar.artifact == "jackson-databind")
    done = audited(advisory("com.fasterxml.jackson.core:jackson-databind", "Maven", events=[FROM_ZERO]))
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        1, f"com.fasterxml.jackson.core:jackson-databind {version} TEST-1 not fixed made up"
    )  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        advisory("some-package", versions=["1.9"]),
        advisory("some-package", events=[FROM_ZERO, {"fixed": "1.10.0"}]),
        advisory("some-package", events=[{"introduced": "1.10.1"}]),
        advisory("some-package", events=[FROM_ZERO, {"last_affected": "1.9.9"}]),
        advisory("some-package", versions=["1.10.0"], withdrawn="2026-01-01T00:00:00Z"),
        advisory("some-package", "npm", versions=["1.10.0"]),
    ],
    ids=["another version", "fixed in it", "later", "before", "withdrawn", "another ecosystem"],
)
def test_what_does_not_affect_the_locked_version_is_no_finding(audited, other):
    done = audited(other)
    assert (done.returncode, done.stderr) == (0, "")
    assert "audit: 0 known vulnerabilities" in done.stdout


def test_what_was_accepted_counts_until_its_day(audited):
    found = advisory("some-package", versions=["1.10.0"])
    assert audited(found, accepted="# why\nTEST-1 2999-01-01 not reachable from here\n").returncode == 0
    assert audited(found, accepted="TEST-1 2020-01-01 not reachable from here\n").returncode == 1
    wrong = audited(found, accepted="TEST-1 2999-01-01\n")
    assert wrong.returncode == 2
    assert "expected: ID YYYY-MM-DD reason" in wrong.stderr


def test_an_audit_without_advisories_fails_and_says_what_it_needs(audited, tools, tmp_path):
    absent = in_audit("audit.py")
    assert absent.returncode == 2
    assert "ADVISORIES: got '', expected a folder with OSV's export" in absent.stderr
    half = audited(basis=UNRELATED[:1])
    assert half.returncode == 2
    assert "has no advisory of Maven: expected Maven/all.zip" in half.stderr
    (tmp_path / "advisories" / "torn.json").write_text("{", encoding="utf-8")
    torn = audited()
    assert torn.returncode == 2
    assert "torn.json cannot be read" in torn.stderr


def test_make_audit_reads_every_lock(tools, tmp_path):
    version = re.search(
        r"^ruff==([^\s\\]+)", (ROOT / "locks" / "dev.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    for number, item in enumerate([*UNRELATED, advisory("ruff", versions=[version[1]])]):
        (tmp_path / f"{number}.json").write_text(json.dumps(item), encoding="utf-8")
    done = run("make", "audit", f"ADVISORIES={tmp_path}", f"PYTHON={sys.executable}")
    assert done.returncode == 2  # make's own for a command that failed
    assert f"ruff {version[1]} TEST-1 affected made up" in done.stdout


def test_a_moved_tag_is_told(tmp_path):
    """`skopeo` is stood in for: there is no registry to ask here."""
    tool = tmp_path / "skopeo"
    tool.write_text("#!/bin/sh\nprintf manifest\n", encoding="utf-8")
    tool.chmod(0o755)
    done = run(sys.executable, "deploy/pins.py", env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert done.returncode == 1
    assert "MOVED docker.io/library/postgres:18.6 sha256:" in done.stdout
    tool.write_text("#!/bin/sh\necho 'no such host' >&2; exit 1\n", encoding="utf-8")
    away = run(sys.executable, "deploy/pins.py", env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert away.returncode == 2
    assert "cannot be asked for: no such host" in away.stderr


def test_notice_and_security_are_there():
    for name in ("NOTICE", "SECURITY.md", "LICENSE"):
        assert Path(ROOT, name).read_text(encoding="utf-8").strip()
