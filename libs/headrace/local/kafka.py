"""Apache Kafka as one KRaft node, broker and controller in one JVM."""

import asyncio
import base64
import hashlib
import os
import tempfile
import uuid
from pathlib import Path

import aiokafka.client
from aiokafka.errors import KafkaError

from headrace.local import install
from headrace.local.engine import PROBE_SECONDS, Engine
from headrace.local.ports import HOST, EnginePorts
from headrace.local.process import Child, Command, NotReady, clean_environment, run
from headrace.runtime.errors import Fatal

JVM_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # One node that serves a laptop: a quick start and little memory are worth more than peak speed.
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # A topic is made by whoever owns it, with the partitions it wants; a typing error must not make one.
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 5,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 5,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    # An idle controller writes a record every half second, by which a quorum sees who lags. This one is alone.
    "metadata.max.idle.interval.ms": 0,
    "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    "log.retention.hours": 7 * 24,
    "log.segment.bytes": 64 * 1024 * 1024,
}

# A killed broker is let in again only when its controller has seen its former session end, nine seconds by
# default. After an unclean end that wait is cut short; otherwise a stall of a busy machine may be as long.
AFTER_A_KILL = {"broker.session.timeout.ms": 1000, "broker.heartbeat.interval.ms": 250}

FIRST_START_SECONDS = 60.0

LOGGING = """\
Configuration:
  status: ERROR
  Appenders:
    Console:
      name: stdout
      target: SYSTEM_OUT
      PatternLayout:
        pattern: "%d{ISO8601}{UTC}Z %-5p %c{1}: %m%n%throwable"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        ref: stdout
    Logger:
      name: kafka.server.KafkaRaftServer
      level: INFO
"""


class Kafka(Engine):
    """Runs `kafka.Kafka`; the wire address is `host:port`."""

    name = "kafka"
    product = "Apache Kafka"

    def __init__(self, directory: Path, ports: EnginePorts) -> None:
        super().__init__(directory)
        self._ports = ports
        self._java: Path | None = None
        self._jars = Path()
        self._sharing: tuple[str, ...] = ()
        self._properties = self.directory / "server.properties"

    @property
    def url(self) -> str:
        """`host:port`."""
        return f"{HOST}:{self._ports.kafka}"

    def listens_on(self) -> dict[str, int]:
        """The ports of clients and of the controller."""
        return {"Kafka": self._ports.kafka, "Kafka's controller": self._ports.kafka_controller}

    async def prepare(self, progress: install.Progress) -> None:
        """Download jars and Java, write the configuration, format the storage once."""
        if self._java is None:
            self._jars = await install.kafka_jars(progress)
            self._java = await install.java(progress, lambda program: self._classes(program).exists())
            self._sharing = await self._shared_classes(progress)
        self.version = install.kafka_version()
        self.directory.mkdir(parents=True, exist_ok=True)
        logging = self.directory / "log4j2.yaml"
        if not logging.exists() or logging.read_text(encoding="utf-8") != LOGGING:
            logging.write_text(LOGGING, encoding="utf-8")
        self._write_properties()
        if not self.directory.joinpath("data", "meta.properties").exists():
            await self._format()

    def command(self) -> Command:
        """The broker; TERM is a controlled shutdown."""
        return self._java_command("kafka.Kafka", str(self._properties))

    async def probe(self, within_seconds: float = PROBE_SECONDS) -> None:
        """Request the cluster's metadata."""
        # The client logs every refused connection as an error, so it comes only once the port is open.
        async with asyncio.timeout(within_seconds):
            _, writer = await asyncio.open_connection(HOST, self._ports.kafka)
            writer.close()
        client = aiokafka.client.AIOKafkaClient(
            bootstrap_servers=self.url, request_timeout_ms=int(within_seconds * 1000)
        )
        try:
            async with asyncio.timeout(within_seconds):
                await client.bootstrap()
        except KafkaError as error:
            raise NotReady(str(error)) from error
        finally:
            await client.close()

    def _write_properties(self) -> None:
        broker, controller = f"{HOST}:{self._ports.kafka}", f"{HOST}:{self._ports.kafka_controller}"
        here = {
            "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{broker}",
            # The older, fixed form of a quorum: it lets the controller's port change between two starts.
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": self.directory / "data",
        }
        data = self.directory / "data"
        killed = data.exists() and not data.joinpath(".kafka_cleanshutdown").exists()
        properties = PROPERTIES | here | (AFTER_A_KILL if killed else {})
        lines = (f"{name}={value}\n" for name, value in properties.items())
        # Whole or not at all: on a full disk the former one stays, instead of half of this.
        partial = self._properties.with_suffix(".partial")
        partial.write_text("".join(lines), encoding="utf-8")
        partial.replace(self._properties)

    async def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # In one word: an id may begin with a dash, and would be taken for an option.
        options = ("format", "--ignore-formatted", f"--cluster-id={cluster}", "-c", str(self._properties))
        command = self._java_command("kafka.tools.StorageTool", *options)
        await run("formatting Kafka's storage", command, self.directory / "format.log", within_seconds=60)

    def _classes(self, program: Path) -> Path:
        """Return where the archive of a Java's classes is, if it has run Kafka before."""
        return self._jars / f"classes-{_identity(program)}.jsa"

    async def _shared_classes(self, progress: install.Progress) -> tuple[str, ...]:
        """Return the JVM's option for the archive of its classes, which halves the start time.

        A temporary broker writes the archive when it ends; it is stored beside the jars, one for each Java.
        """
        archive = self._classes(Path(str(self._java)))
        try:
            async with install.making(archive, progress) as partial:
                if partial is not None:
                    progress("preparing Kafka's classes; this takes a few seconds and happens once")
                    await self._write_classes(partial)
        except (Fatal, OSError) as error:
            # Another kind of JVM, a full disk, jars that this user may only read: it starts without, and slower.
            progress(f"Kafka's classes could not be prepared: {error}")
            return ()
        return (f"-XX:SharedArchiveFile={archive}",)

    async def _write_classes(self, archive: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="headrace-kafka-") as name:
            broker = Kafka(Path(name), EnginePorts.random())
            broker._java, broker._jars = self._java, self._jars
            await broker.prepare(lambda _: None)
            broker._sharing = (f"-XX:ArchiveClassesAtExit={archive}",)
            child = Child("Kafka's first start", broker.command(), broker.directory / "broker.log")
            child.start()
            try:
                await child.ready(broker.probe, within_seconds=FIRST_START_SECONDS)
            finally:
                await child.stop(within_seconds=FIRST_START_SECONDS)

    def _java_command(self, *arguments: str) -> Command:
        logging = f"-Dlog4j2.configurationFile={self.directory / 'log4j2.yaml'}"
        argv = (str(self._java), *JVM_OPTIONS, *self._sharing, logging, "-cp", f"{self._jars}/*", *arguments)
        environment = clean_environment()
        if java_home := os.environ.get("JAVA_HOME"):
            environment["JAVA_HOME"] = java_home
        return Command(argv=argv, environment=environment)


def _identity(program: Path) -> str:
    """Return a value that changes when a program changes."""
    found = program.resolve()
    return hashlib.sha256(f"{found} {found.stat().st_mtime_ns}".encode()).hexdigest()[:8]
