"""What tests of the bridge share beside their fixtures."""

import sys
from pathlib import Path

import orjson

from headrace.database.pool import Database
from headrace.local.simulators.chain import DIRECTORY

HEADRACE = Path(sys.executable).with_name("headrace")


def environment_of(chain, tmp_path, **more):
    maps = {"UID_MAP_FILE": "uid-map.json", "WS_MAP_FILE": "ws-map.json"}
    return {
        **chain.environment,
        **{name: str(tmp_path / DIRECTORY / file) for name, file in maps.items()},
        **more,
    }


async def outcomes(tables: Database) -> list[tuple[bool | None, dict]]:
    rows = await tables.fetch("select succeeded, outcome from runs order by id")
    return [(row["succeeded"], orjson.loads(row["outcome"] or "null")) for row in rows]
