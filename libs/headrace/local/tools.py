"""The documents' command line tools, as scripts for the running stack: `.headrace/bin`."""

import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from headrace.local import install, postgres
from headrace.local.install import Progress
from headrace.local.ports import HOST
from headrace.local.simulators import chain
from headrace.local.supervisor import EngineStatus
from headrace.runtime.errors import ConfigurationError
from headrace.service.row import Service

ONE_LINE: Final = Path(__file__).with_name("one_line.py")

_OURS_ALONE: Final = 0o700
_KAFKA_TOOLS: Final = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
}
_JVM_OPTIONS: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
_LOGGING: Final = """\
Configuration:
  status: ERROR
  Appenders:
    Console:
      name: stderr
      target: SYSTEM_ERR
      PatternLayout:
        pattern: "%-5p %c{1}: %m%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        ref: stderr
"""

_PSQL: Final = """\
#!/bin/sh
# PostgreSQL's psql on the local stack.
export {variables}
exec {program} "$@"
"""

_MC: Final = """\
#!/bin/sh
# Not MinIO's client: the same words for ls, cp, cat and rm, on the local stack. Any alias is this stack's S3.
export HEADRACE_DIRECTORY={directory}
exec {headrace} objects "$@"
"""

# Kafka 4 no longer knows --broker-list, which the documents print.
_KAFKA: Final = """\
#!/bin/sh
# Apache Kafka's {name}.
for word do
  shift
  case $word in
    --broker-list) word=--bootstrap-server ;;
    --broker-list=*) word=--bootstrap-server=${{word#*=}} ;;
  esac
  set -- "$@" "$word"
done
{run}
"""
_JUST_RUN: Final = 'exec {java} "$@"'
# The tool sends each line as a message, and the documents print a message over several lines.
_RUN_ON_MESSAGES: Final = """\
if [ -t 0 ]; then exec {java} "$@"; fi
{python} -I -S {one_line} | {java} "$@"\
"""

_PODMAN: Final = """\
#!/bin/sh
# Not Podman: `podman exec [OPTION…] CONTAINER COMMAND…` runs COMMAND here, where the local stack has no containers, and
# `podman run [OPTION…] segment-bridge [COMMAND…]` a shell, or COMMAND, that knows the segment bridge's scripts.
refuse() {{
  echo "podman: $1" >&2
  exit 125
}}
unknown="this stand-in of the local stack knows only: podman exec CONTAINER COMMAND, podman run segment-bridge"
# A mounted file that is there is the one to read.
run() {{
  while [ $# -gt 0 ]; do
    word=${{1#--volume=}}
    shift
    case $word in
      -e) export "$1"; shift ;;
      *:/usr/local/etc/netrc*) [ ! -r "${{word%%:*}}" ] || export CURL_NETRC="${{word%%:*}}" ;;
      *:/usr/local/etc/kube_config*) [ ! -r "${{word%%:*}}" ] || export KUBECONFIG="${{word%%:*}}" ;;
      segment-bridge | localhost/segment-bridge | localhost/segment-bridge:latest)
        [ $# -gt 0 ] || set -- "${{SHELL:-sh}}"
        export PATH={tools}/as-printed:{tools}:"$PATH"
        exec "$@" ;;
    esac
  done
  refuse "$unknown"
}}
case ${{1-}} in
  run) shift; run "$@" ;;
  exec) ;;
  *) refuse "$unknown" ;;
esac
shift
while case ${{1-}} in -*) true ;; *) false ;; esac; do shift; done
[ $# -ge 2 ] || refuse "expected: podman exec CONTAINER COMMAND"
command=${{2##*/}}
shift 2
PATH={tools}:$PATH
export PATH
# The name by which the documents' containers know S3.
if [ "$command" = curl ]; then set -- --connect-to minio:9000:{s3} "$@"; fi
exec "$command" "$@"
"""

_COMPOSE: Final = """\
#!/bin/sh
# Not {name}: its words for the local stack.
export HEADRACE_DIRECTORY={directory}
word=${{1-}}
[ $# = 0 ] || shift
case $word in
  up) exec {headrace} up "$@" ;;
  ps) exec {headrace} status ;;
  logs) exec {headrace} logs "$@" ;;
  down) exec {headrace} down ;;
esac
echo "{name}: this stand-in of the local stack knows only: {name} up [-d], ps, logs [NAME…], down" >&2
exit 125
"""
# By both names the documents start what they need.
_COMPOSERS: Final = ("podman-compose", "docker-compose")

_UUIDGEN: Final = """\
#!/bin/sh
# A random UUID, where util-linux' own program is not installed.
exec cat /proc/sys/kernel/random/uuid
"""

# With no far ends of one's own named, on the local stack's simulators.
_SIMULATORS: Final = 'if [ -z "{unset}" ] && [ -f {environment} ]; then . {environment}; fi\n'


async def write_tools(
    directory: Path, engines: Sequence[EngineStatus], progress: Progress, rows: Sequence[Service] = ()
) -> Path:
    """Write the scripts that this stack's engines allow; return their directory.

    `as-printed/` beside them contains the stand-ins for Podman and the services' own scripts, for users who add it to
    PATH.
    """
    by_name = {status.name: status for status in engines}
    kafka = None
    if by_name["kafka"].state != "given":
        kafka = await install.java(progress), await install.kafka_jars(progress)
    return _write_all(directory, kafka, rows, postgres_url=by_name["postgres"].url, s3=by_name["s3"].address)


def _write_all(
    directory: Path,
    kafka: tuple[Path, Path] | None,
    rows: Sequence[Service] = (),
    *,
    postgres_url: str,
    s3: str,
) -> Path:
    directory = directory.absolute()
    tools = directory / "bin"
    if tools.exists():
        shutil.rmtree(tools)
    printed = tools / "as-printed"
    printed.mkdir(parents=True)
    if kafka is not None:
        logging = tools / "log4j2.yaml"
        logging.write_text(_LOGGING, encoding="utf-8")
        for name, text in _kafka(*kafka, logging):
            _write(tools / name, text)
    if (psql := _psql(postgres_url)) is not None:
        _write(tools / "psql", psql)
    ours = {"directory": shlex.quote(str(directory)), "headrace": shlex.quote(_headrace())}
    parts = urlsplit(s3)
    address = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    _write(tools / "mc", _MC.format(**ours))
    _write(printed / "podman", _PODMAN.format(tools=shlex.quote(str(tools)), s3=address))
    for name in _COMPOSERS:
        _write(printed / name, _COMPOSE.format(name=name, **ours))
    if shutil.which("uuidgen") is None:
        _write(printed / "uuidgen", _UUIDGEN)
    for row in rows:
        if row.scripts:
            row.module("scripts").write_scripts(
                printed, ours["headrace"], before=_simulators(directory), mode=_OURS_ALONE
            )
    return tools


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # A given server's password may stand in it.
    path.chmod(_OURS_ALONE)


def _kafka(java: Path, jars: Path, logging: Path) -> Iterator[tuple[str, str]]:
    for name, main in _KAFKA_TOOLS.items():
        options = (*_JVM_OPTIONS, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*", main)
        template = _RUN_ON_MESSAGES if name == "kafka-console-producer" else _JUST_RUN
        words = {
            "java": shlex.join((str(java), *options)),
            "python": shlex.quote(sys.executable),
            "one_line": shlex.quote(str(ONE_LINE)),
        }
        yield name, _KAFKA.format(name=name, run=template.format(**words))


def _psql(url: str) -> str | None:
    """Return the script, None if the wheel with psql is not installed."""
    try:
        program = postgres.program("psql")
    except ConfigurationError:
        return None
    parts = urlsplit(url)
    variables = {
        "PGHOST": parts.hostname or HOST,
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or "postgres"),
        "PGDATABASE": parts.path.lstrip("/") or "postgres",
    }
    if parts.password:
        variables["PGPASSWORD"] = unquote(parts.password)
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    return _PSQL.format(variables=words, program=shlex.quote(program))


def _simulators(directory: Path) -> str:
    return _SIMULATORS.format(
        unset="".join(f"${{{name}-}}" for name in chain.VARIABLES),
        environment=shlex.quote(str(directory / chain.DIRECTORY / chain.ENVIRONMENT_FILE)),
    )


def _headrace() -> str:
    """Return the command of this Python environment."""
    beside = Path(sys.executable).with_name("headrace")
    return str(beside) if beside.exists() else "headrace"
