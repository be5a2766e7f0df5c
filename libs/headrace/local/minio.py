"""MinIO on one directory, if it is selected; `minio_guard` stands in front."""

import sys
from pathlib import Path

from headrace.local.engine import PROBE_SECONDS, answers
from headrace.local.install import MINIO_VERSION, Progress, minio
from headrace.local.ports import HOST, EnginePorts
from headrace.local.process import Command, clean_environment
from headrace.local.s3 import S3Engine

WARNING = (
    "MinIO serves S3. It is no longer maintained, and anyone who knows its access key can write objects without "
    "the secret key (CVE-2026-41145). Headrace refuses such requests in front of it. Let nobody else reach its "
    "ports; SeaweedFS is maintained"
)


class MinIO(S3Engine):
    """Runs `minio server` behind the guard, which alone listens on the S3 port."""

    product = "MinIO"

    def __init__(self, directory: Path, ports: EnginePorts, program: Path | None = None) -> None:
        super().__init__(directory, ports)
        self._program = program

    def listens_on(self) -> dict[str, int]:
        """The ports of S3, of the server behind the guard, and of the console."""
        return {
            "S3 (MinIO)": self._ports.s3,
            "MinIO itself": self._ports.s3_inner,
            "MinIO's console": self._ports.s3_console,
        }

    async def prepare(self, progress: Progress) -> None:
        """Find or build the program, create its directory."""
        if self._program is None:
            self._program = await minio(progress)
        self.directory.mkdir(parents=True, exist_ok=True)
        # Only a binary of our own making says which source it is from.
        self.version = MINIO_VERSION if MINIO_VERSION in self._program.name else str(self._program)

    def command(self) -> Command:
        """Return the command: one directory, no update check."""
        inner, console = f"{HOST}:{self._ports.s3_inner}", f"{HOST}:{self._ports.s3_console}"
        guard = ("-m", "headrace.objects.minio_guard", "--listen", f"{HOST}:{self._ports.s3}", "--to", inner)
        options = ("--quiet", "--address", inner, "--console-address", console)
        environment = clean_environment(
            MINIO_ROOT_USER=self._credentials["access_key"],
            MINIO_ROOT_PASSWORD=self._credentials["secret_key"],
            MINIO_UPDATE="off",
            # By default a page of any site may have a browser send it requests.
            MINIO_API_CORS_ALLOW_ORIGIN=self.address,
        )
        server = (str(self._program), "server", *options, str(self.directory))
        return Command(argv=(sys.executable, *guard, "--", *server), environment=environment)

    async def probe(self, within_seconds: float = PROBE_SECONDS) -> None:
        """Check whether objects can be written."""
        # `live` answers before objects can be written, this one only after.
        await answers(f"{self.address}/minio/health/cluster", within_seconds)
