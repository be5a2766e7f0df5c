"""What koku would make of a cost archive: its handler, with every cluster registered and nothing stored."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from headrace.runtime.settings import load
from headrace.service.row import Service
from headrace.service.trial import EmptyStore, Finding, Notes, OneFile, Trial, handled
from headrace_services.koku.handlers import Buckets, Koku
from headrace_services.koku.settings import NO_BUCKET, KokuSettings
from headrace_services.koku.shipper import Place, Shipper
from headrace_services.koku.sources import Check, Source, Sources, Tenant


class _Registered(Sources):
    """A Sources API that knows every cluster; whether the real one does cannot be seen in an archive."""

    def __init__(self) -> None:
        self.asked = False

    async def of_cluster(
        self, cluster_id: str, tenant: Tenant, *, name: str = "", check: Check | None = None
    ) -> Source:
        self.asked = True
        if check:
            await check()
        return Source(id="0", uid=cluster_id, name=name or tenant.org_id)


@dataclass(frozen=True)
class _Read(Shipper):
    """Reads what it would store, and notes the usage files."""

    usage: list[str] = field(default_factory=list)

    async def ship(self, chunks: AsyncIterator[bytes], place: Place, name: str, *, kind: str) -> str:
        async for _ in chunks:
            pass
        if kind == "ros":
            self.usage.append(name)
        return f"{place.folder}/{name}"


async def check(trial: Trial, row: Service) -> Finding:
    """Read the manifest and every file it lists."""
    settings = load(KokuSettings)
    sources = _Registered()
    koku = Koku(
        fetcher=OneFile(trial.path),
        sources=sources,
        shipper=_Read(EmptyStore(), usage=trial.usage),
        producer=Notes(),
        buckets=Buckets(settings.ros_bucket, "" if settings.bucket == NO_BUCKET else settings.bucket),
        url_seconds=settings.url_seconds,
        silent=settings.ros_silent,
        lenient=trial.lenient,
    )
    return await handled(
        row,
        koku.handle(trial.announced, trial.delivery()),
        "koku-announced",
        lambda: "koku-files" if sources.asked else "koku-manifest",
    )
