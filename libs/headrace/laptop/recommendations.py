"""Shows workloads and recommendations of the ROS API."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import aiohttp

from headrace.cli.output import Output
from headrace.laptop.uploads import as_organisation
from headrace.run_file import service_url
from headrace.runtime.errors import Permanent
from headrace.web.peer import Peer

COLUMNS: Final = (
    "cluster",
    "project",
    "workload",
    "container",
    "term",
    "engine",
    "cpu request",
    "recommended",
    "memory request",
    "recommended",
)
_PAGE: Final = 100
# A person reads no more; `curl` has the rest.
_MAX_ROWS: Final = 1000
_MIB: Final = 1 << 20


class RosApi:
    """The rows of the API as an organisation sees them."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._peer = Peer(session, url, name="the ROS API")

    async def rows(self, what: str, org_id: str, cluster_id: str | None = None) -> list[dict[str, Any]]:
        """Return ``workloads`` or ``recommendations``, at most a thousand."""
        found: list[dict[str, Any]] = []
        while len(found) < _MAX_ROWS:
            params = {"limit": str(_PAGE), "offset": str(len(found))}
            if cluster_id:
                params["cluster"] = cluster_id
            answer = await self._peer.call(
                "GET", f"/api/ros/v1/{what}", params=params, headers=as_organisation(org_id)
            )
            if answer.status != 200:
                raise Permanent(f"the ROS API answers {answer.shown}")
            found += answer.body["data"]
            if len(answer.body["data"]) < _PAGE:
                break
        return found


def table_rows(recommendations: Sequence[Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    """Return one row for each engine's recommendation, with the columns of `COLUMNS`."""
    for row in recommendations:
        shown = row["recommendations"]
        now = shown.get("current", {}).get("requests", {})
        for term, advice in shown.get("recommendation_terms", {}).items():
            for engine, found in advice.get("recommendation_engines", {}).items():
                wanted = found.get("config", {}).get("requests", {})
                yield (
                    row["cluster_alias"],
                    row["project"],
                    f"{row['workload_type']}/{row['workload']}",
                    row["container"],
                    term.removesuffix("_term"),
                    engine,
                    _cores(now),
                    _cores(wanted),
                    _mebibytes(now),
                    _mebibytes(wanted),
                )


def _cores(requests: Mapping[str, Any]) -> str:
    amount = requests.get("cpu", {}).get("amount")
    return "none" if amount is None else f"{amount:.3f}"


def _mebibytes(requests: Mapping[str, Any]) -> str:
    amount = requests.get("memory", {}).get("amount")
    return "none" if amount is None else f"{amount / _MIB:.0f} MiB"


async def show(url: str, org_id: str, cluster_id: str | None) -> None:
    """Print them."""
    async with aiohttp.ClientSession() as session:
        rows = await RosApi(session, url).rows("recommendations", org_id, cluster_id)
    Output().table(COLUMNS, list(table_rows(rows)))


def url_of(directory: Any, given: str | None) -> str:
    """Return the given URL, else the running local stack's."""
    return given or service_url(directory, "ros_api")
