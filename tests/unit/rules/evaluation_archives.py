"""Archives as senders of several kinds make them."""

import io
import json
import random
import sqlite3
import tarfile
from collections.abc import Mapping
from typing import Any

Files = Mapping[str, bytes]


def tar(files: Files, *, links: Mapping[str, str] | None = None, compression: str = "gz") -> bytes:
    """A tar of GNU format, as `tar` writes it, with the directories above every file."""
    buffer = io.BytesIO()
    mode: Any = f"w:{compression}"
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.GNU_FORMAT) as archive:
        listed: set[str] = set()
        for name in [*files, *(links or {})]:
            for above in _above(name):
                if above not in listed:
                    listed.add(above)
                    member = tarfile.TarInfo(above)
                    member.type, member.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(member)
            member = tarfile.TarInfo(name)
            if links and name in links:
                member.type, member.linkname = tarfile.SYMTYPE, links[name]
                archive.addfile(member)
            else:
                member.size = len(files[name])
                archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


def _above(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts)) if parts[end] != "."]


def demo(prefix: str = "", *, thousand: int = 3, compression: str = "gz") -> bytes:
    """All that the specs of `evaluation_pack` look for."""
    lines = [f"{number} {'ERROR' if number % 3 == 0 else 'fine'} é" for number in range(40)]
    files = {
        "demo/marker.txt": b"",
        "demo/text.txt": "one\r\ntwo\rthree\nfoür\x85\x0b\x0cfive\x1c\u2028six\n\n".encode()
        + b"\xff\xfe\x80 end",
        "demo/long.log": "\n".join(lines).encode(),
        "demo/raw.bin": bytes(range(256)),
        "demo/many/a.txt": b"a\n",
        "demo/many/b.txt": b"b",
        "demo/many/.hidden.txt": b"hidden",
        "demo/many/ignored.txt": b"ignored",
        "demo/many/b1.log": b"b1",
        "demo/many/bx.log": b"bx",
        "demo/many/sub/c.txt": b"c",
        "demo/dev/null": b"left out",
        "demo/with\\x2dbackslash": b"",
        **{f"demo/thousand/{number}": b"x" for number in range(thousand)},
    }
    links = {
        "demo/link": "many/../../demo",
        "demo/out.txt": "/etc/hostname",
        "demo/up.txt": "../../../../../../etc/hostname",
        "demo/many/loop.txt": "loop.txt",
        "demo/many/linked.txt": "../text.txt",
        "demo/many/broken.txt": "nowhere",
    }
    return tar(
        {prefix + name: content for name, content in files.items()},
        links={prefix + name: target for name, target in links.items()},
        compression=compression,
    )


def on_disk() -> bytes:
    """Files that are read by their real paths."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table hosts (name text)")
    connection.executemany("insert into hosts values (?)", [("b",), ("a",)])
    connection.commit()
    database = connection.serialize()
    connection.close()
    many = {f"top/demo/many/{name}": b"" for name in "cab"}
    files = {"top/demo/marker.txt": b"", "top/demo/db.sqlite": database, "top/demo/counted.txt": b"1\n2\n3\n"}
    return tar(files | many)


UNAME = (
    b"Linux host1.example.com 3.10.0-327.el7.x86_64 #1 SMP Thu Oct 29 17:29:29 EDT 2015 x86_64 GNU/Linux\n"
)
PS = b"""USER       PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND
root         1  0.0  0.0 128236  6928 ?        Ss   Jan01   0:05 /usr/lib/systemd/systemd
root      1234  0.1  0.2 228236 16928 ?        S    Jan01   1:05 /usr/sbin/sshd -D
"""
RPMS = b"bash-4.2.46-34.el7.x86_64\nkernel-3.10.0-327.el7.x86_64\nsystemd-219-78.el7.x86_64\n"
OS_RELEASE = b'NAME="Red Hat Enterprise Linux Server"\nVERSION="7.2 (Maipo)"\nID="rhel"\nVERSION_ID="7.2"\n'
HOSTNAME = b"host1.example.com\n"
RELEASE = b"Red Hat Enterprise Linux Server release 7.2 (Maipo)\n"
DMESG = b"[    0.000000] Linux version 3.10.0\n[    1.234567] systemd[1]: Detected virtualization kvm.\n"


def syslog(lines: int) -> bytes:
    chooser = random.Random(2)
    return b"".join(
        b"Jan  1 %02d:%02d:%02d host1 process[%d]: message %d\n"
        % (number // 3600 % 24, number // 60 % 60, number % 60, chooser.randrange(9999), number)
        for number in range(lines)
    )


def host() -> bytes:
    """The layout of older insights-clients."""
    top = "insights-host1.example.com-20260101000000"
    files = {
        "insights_commands/hostname_-f": HOSTNAME,
        "insights_commands/uname_-a": UNAME,
        "insights_commands/ps_aux": PS,
        "insights_commands/ps_auxww": PS,
        "insights_commands/rpm_-qa": RPMS,
        "insights_commands/dmesg": DMESG,
        "etc/os-release": OS_RELEASE,
        "etc/redhat-release": RELEASE,
        "etc/sysconfig/network-scripts/ifcfg-eth0": b"DEVICE=eth0\nBOOTPROTO=dhcp\n",
        "etc/sysconfig/network-scripts/ifcfg-eth1": b"DEVICE=eth1\nBOOTPROTO=none\n",
        "var/log/messages": syslog(500),
        "branch_info": json.dumps({"remote_leaf": -1, "remote_branch": -1}).encode(),
    }
    return tar({f"./{top}/{name}": content for name, content in files.items()})


def core3() -> bytes:
    """The layout of current insights-clients: results with what they were made from."""
    top = "insights-host1.example.com-20260101000000"
    files = {f"{top}/insights_archive.txt": b""}

    def collected(spec: str, kind: str, *stored: dict[str, object], data: bytes = b"") -> None:
        results = [{"type": f"insights.core.spec_factory.{kind}", "object": one} for one in stored]
        document = {
            "name": f"insights.specs.Specs.{spec}",
            "exec_time": 0.1,
            "errors": [],
            "results": results if len(results) > 1 else results[0],
            "ser_time": 0.01,
        }
        files[f"{top}/meta_data/insights.specs.Specs.{spec}.json"] = json.dumps(document).encode()
        for one in stored:
            files[f"{top}/data/{one['relative_path']}"] = data

    def command(name: str) -> dict[str, object]:
        path = f"insights_commands/{name}"
        return {"rc": None, "cmd": None, "args": None, "save_as": False, "relative_path": path}

    def plain(path: str) -> dict[str, object]:
        return {"save_as": False, "relative_path": path, "rc": None}

    collected("hostname", "CommandOutputProvider", command("hostname_-f"), data=HOSTNAME)
    collected("uname", "CommandOutputProvider", command("uname_-a"), data=UNAME)
    collected("ps_auxww", "CommandOutputProvider", command("ps_auxww"), data=PS)
    collected("ps_aux", "CommandOutputProvider", command("ps_aux"), data=PS)
    collected("installed_rpms", "CommandOutputProvider", command("rpm_-qa"), data=RPMS)
    collected("os_release", "TextFileProvider", plain("etc/os-release"), data=OS_RELEASE)
    collected("redhat_release", "RawFileProvider", plain("etc/redhat-release"), data=RELEASE)
    collected("dmesg", "CommandOutputProvider", command("dmesg"), data=DMESG)
    scripts = "etc/sysconfig/network-scripts"
    collected(
        "ifcfg",
        "TextFileProvider",
        plain(f"{scripts}/ifcfg-eth0"),
        plain(f"{scripts}/ifcfg-eth1"),
        data=b"DEVICE=eth0\n",
    )
    absent = command("absent")
    collected("date", "CommandOutputProvider", absent)
    del files[f"{top}/data/insights_commands/absent"]
    files[f"{top}/meta_data/broken.json"] = b"{"
    files[f"{top}/meta_data/unknown.json"] = (
        b'{"name": "nobody.knows", "exec_time": 0, "ser_time": 0, "results": {}}'
    )
    return tar(files)


def sos() -> bytes:
    """A sosreport, with its symbolic links and systemd's backslashes."""
    top = "sosreport-host1-2026-01-01-abcdefg"
    files = {
        "sos_commands/host/hostname": HOSTNAME,
        "sos_commands/kernel/uname_-a": UNAME,
        "sos_commands/kernel/dmesg": DMESG,
        "sos_commands/process/ps_auxwww": PS,
        "usr/lib/os-release": OS_RELEASE,
        "etc/centos-release": RELEASE,
        "var/log/messages": syslog(500),
        r"usr/lib/systemd/system/system-systemd\x2dcryptsetup.slice": b"",
        "dev/null": b"",
    }
    links = {
        "etc/os-release": "../usr/lib/os-release",
        "etc/redhat-release": "centos-release",
        "hostname": "sos_commands/host/hostname",
        "etc/resolv.conf": "/run/resolv.conf",
    }
    return tar(
        {f"{top}/{name}": content for name, content in files.items()},
        links={f"{top}/{name}": target for name, target in links.items()},
        compression="xz",
    )
