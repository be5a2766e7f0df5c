"""MinIO on one directory."""

from headrace.local.engine import answers_ok
from headrace.local.install import MINIO_VERSION, Progress
from headrace.local.ports import HOST
from headrace.local.process import Command, clean_environment
from headrace.local.s3 import S3Engine


class MinIO(S3Engine):
    """Runs `minio server`."""

    product = "MinIO"

    def listens_on(self) -> dict[str, int]:
        """S3 and the console."""
        return {"S3 (MinIO)": self._ports.s3, "MinIO's console": self._ports.s3_console}

    async def prepare(self, progress: Progress) -> None:  # noqa: ARG002
        """Make its directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # Only a binary of our own making says which source it is from.
        self.version = MINIO_VERSION if MINIO_VERSION in self._program.name else str(self._program)

    def command(self) -> Command:
        """One directory, no update check."""
        address, console = f"{HOST}:{self._ports.s3}", f"{HOST}:{self._ports.s3_console}"
        options = ("--quiet", "--address", address, "--console-address", console)
        environment = clean_environment(
            MINIO_ROOT_USER=self._credentials["access_key"],
            MINIO_ROOT_PASSWORD=self._credentials["secret_key"],
            MINIO_UPDATE="off",
        )
        return Command(
            argv=(str(self._program), "server", *options, str(self.directory)), environment=environment
        )

    async def probe(self) -> None:
        """Ask whether objects can be written."""
        # `live` answers before objects can be written, this one only after.
        await answers_ok(f"{self.address}/minio/health/cluster")
