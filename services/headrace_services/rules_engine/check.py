"""What the rules would find in an archive: the engine's handler, with its rules in a worker process."""

from importlib.util import find_spec

from headrace.contracts.announcement import UnjudgedAnnouncement
from headrace.runtime.errors import Rejected
from headrace.runtime.settings import load
from headrace.service.row import Service
from headrace.service.trial import Finding, Notes, Trial, handled
from headrace_services.rules_engine.settings import RulesEngineSettings

_NAME = "rules-engine"


async def check(trial: Trial, row: Service) -> Finding:
    """Evaluate the archive."""
    if find_spec("insights") is None:
        reason = "not tried: the rules need insights-core (pip install 'headrace[rules]')"
        return Finding(_NAME, "unknown", reason, "rules-report")
    from headrace.rules.evaluation import RulesConfig
    from headrace.rules.workers.pool import WorkerPool
    from headrace_services.rules_engine.handlers import RulesEngine
    from headrace_services.rules_engine.messages import Upload
    from headrace_services.rules_engine.publishing import FORMS, Publication

    settings = load(RulesEngineSettings)

    async def download(_upload: Upload) -> bytes:
        if (size := trial.path.stat().st_size) > settings.max_archive_bytes:
            raise Rejected(f"the archive has {size} bytes, more than {settings.max_archive_bytes}")
        return trial.path.read_bytes()

    pool = await WorkerPool.open(
        RulesConfig(settings.packages, target_components=settings.target_components),
        workers=1,
        deadline_seconds=settings.deadline_seconds,
        max_rss_bytes=settings.max_rss_bytes,
    )
    try:
        publications = [
            Publication(topic.name, FORMS[topic.message]) for topic in row.produces if topic.message in FORMS
        ]
        engine = RulesEngine(download, pool, publications, Notes())
        message = UnjudgedAnnouncement.from_json(trial.announced.to_json())
        work = engine.handle(message, trial.delivery())
        return await handled(row, work, "rules-report", lambda: "rules-archive")
    finally:
        await pool.close()
