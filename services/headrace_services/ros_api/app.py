"""Wiring: the ROS tables out by REST."""

import aiohttp

from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.runtime.logging import get_logger
from headrace.service.context import Context
from headrace.web.peer import Peer
from headrace_services.ros_api.api import Api
from headrace_services.ros_api.rbac import Rbac
from headrace_services.ros_api.settings import RosApiSettings
from headrace_services.ros_api.store import RosStore

_log = get_logger(__name__)

# The ROS document's organisation, whose curls name none.


async def start(context: Context) -> None:
    """Serve."""
    settings = context.settings(RosApiSettings)
    store = RosStore(await context.database(), max_streams=settings.max_streams)
    api = Api(
        store,
        settings,
        default_org_id=settings.default_org_id or (LOCAL_ORG_ID if context.lenient else ""),
        rbac=_rbac(context, settings) if settings.rbac_enable else None,
    )
    await context.listen(api.application())


def _rbac(context: Context, settings: RosApiSettings) -> Rbac:
    session = aiohttp.ClientSession()
    context.on_close(session.close)
    peer = Peer(session, settings.rbac_url, name="RBAC", timeout_seconds=settings.rbac_seconds)
    return Rbac(peer, within_seconds=settings.rbac_seconds)
