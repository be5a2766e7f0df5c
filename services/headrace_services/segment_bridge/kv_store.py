"""A map in Splunk's KV store, for the ``lookup`` command: ``| lookup segment_uid_map username OUTPUT uid``."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from headrace.runtime.errors import Rejected
from headrace.runtime.retries import RetryPolicy, retrying
from headrace_services.segment_bridge.splunk import Splunk

# Splunk's limit of documents in a batch.
_BATCH: Final = 1000
_RETRY: Final = RetryPolicy(attempts=4, budget_seconds=60.0, base_seconds=1.0)
_EXISTS: Final = 409
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Lookup:
    """A collection and the names of its two fields."""

    collection: str
    key: str
    value: str


async def upload(splunk: Splunk, lookup: Lookup, entries: Mapping[str, str | int]) -> None:
    """Make the collection contain exactly ``entries``; entries that stay are never missing meanwhile.

    Raises `Rejected` for an empty map, which would remove everyone and is more likely a fault.
    """
    if not entries:
        raise Rejected(f"the map is empty: nothing is uploaded, {lookup.collection} remains unchanged")
    await _form(splunk, "/storage/collections/config", name=lookup.collection)
    await _form(
        splunk,
        "/data/transforms/lookups",
        name=lookup.collection,
        external_type="kvstore",
        collection=lookup.collection,
        fields_list=f"_key, {lookup.key}, {lookup.value}",
    )
    upload_id = secrets.token_hex(8)
    documents = [
        {"_key": key, lookup.key: key, lookup.value: str(value), "upload": upload_id}
        for key, value in entries.items()
    ]
    data = f"/storage/collections/data/{lookup.collection}"
    for start in range(0, len(documents), _BATCH):
        body = orjson.dumps(documents[start : start + _BATCH])
        await _ask(splunk, "POST", f"{data}/batch_save", data=body, headers=_JSON)
    # Documents of earlier uploads that this one did not write.
    query = orjson.dumps({"upload": {"$ne": upload_id}}).decode()
    await _ask(splunk, "DELETE", data, params={"query": query})


async def _form(splunk: Splunk, path: str, **fields: str) -> None:
    """Create the collection; it may exist already."""
    await _ask(splunk, "POST", path, data=fields, params={"output_mode": "json"}, fine={_EXISTS})


async def _ask(splunk: Splunk, method: str, path: str, **request: Any) -> None:
    async def ask() -> None:
        async with splunk.call(method, path, **request) as response:
            await response.read()

    await retrying(_RETRY, ask)
