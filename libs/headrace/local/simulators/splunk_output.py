"""What the Splunk simulator answers with: rows, messages and entries in the form that ``output_mode`` names."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

import orjson
from aiohttp import web

from headrace.web.errors import json_response

Row = Mapping[str, Any]

_XML: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_FEED: Final = 'xmlns="http://www.w3.org/2005/Atom" xmlns:s="http://dev.splunk.com/ns/rest"'


def wants_json(form: Mapping[str, str]) -> bool:
    """Whether the caller asks for JSON; Splunk's own choice is XML."""
    return form.get("output_mode", "").startswith("json")


def messages(form: Mapping[str, str], status: int, kind: str, text: str) -> web.Response:
    """One diagnostic."""
    if wants_json(form):
        return json_response({"messages": [{"type": kind, "text": text}]}, status)
    message = f"    <msg type={quoteattr(kind)}>{escape(text)}</msg>\n"
    return _xml(f"<response>\n  <messages>\n{message}  </messages>\n</response>\n", status)


def created_job(form: Mapping[str, str], sid: str) -> web.Response:
    """The answer to a search that has become a job."""
    if wants_json(form):
        return json_response({"sid": sid}, 201)
    return _xml(f"<response>\n  <sid>{escape(sid)}</sid>\n</response>\n", 201)


def entries(
    form: Mapping[str, str], found: Iterable[tuple[str, Mapping[str, Any]]], status: int = 200
) -> web.Response:
    """Things by their names: jobs, indexes, the server itself."""
    listed = list(found)
    if wants_json(form):
        shown = [{"name": name, "content": dict(content)} for name, content in listed]
        paging = {"total": len(listed), "perPage": 30, "offset": 0}
        return json_response({"entry": shown, "paging": paging, "messages": []}, status)
    parts = "".join(_entry(name, content) for name, content in listed)
    return _xml(f"<feed {_FEED}>\n{parts}</feed>\n", status)


def rows(form: Mapping[str, str], found: Sequence[Row], *, start: int = 0) -> web.Response:
    """A page of results."""
    mode = form.get("output_mode", "xml")
    if mode == "json":
        names = [{"name": name} for name in _names(found)]
        document = {"preview": False, "init_offset": start, "messages": [], "fields": names}
        return json_response(document | {"results": found, "highlighted": {}})
    body, kind = written(mode, found)
    return web.Response(body=body, content_type=kind, charset="utf-8")


def written(mode: str, found: Sequence[Row]) -> tuple[bytes, str]:
    """Rows as one document, and its type."""
    names = _names(found)
    if mode == "csv":
        return _csv(names, found), "text/csv"
    if mode == "raw":
        return "".join(f"{row.get('_raw', '')}\n" for row in found).encode(), "text/plain"
    if mode == "json_rows":
        table = [[row.get(name) for name in names] for row in found]
        return orjson.dumps({"preview": False, "fields": names, "rows": table}), "application/json"
    if mode == "json_cols":
        columns = [[row.get(name) for row in found] for name in names]
        return orjson.dumps({"preview": False, "fields": names, "columns": columns}), "application/json"
    return _results(names, found).encode(), "text/xml"


def _names(found: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in found for name in row))


def _csv(names: list[str], found: Sequence[Row]) -> bytes:
    opened = io.StringIO()
    writer = csv.writer(opened, lineterminator="\n")
    if names:
        writer.writerow(names)
    writer.writerows([_joined(row.get(name, "")) for name in names] for row in found)
    return opened.getvalue().encode()


def _joined(value: Any) -> str:
    return "\n".join(value) if isinstance(value, list) else str(value)


def _results(names: list[str], found: Sequence[Row]) -> str:
    order = "".join(f"<field>{escape(name)}</field>\n" for name in names)
    shown = "".join(
        f"\t<result offset='{offset}'>\n{''.join(_field(*pair) for pair in row.items())}\t</result>\n"
        for offset, row in enumerate(found)
    )
    head = "<?xml version='1.0' encoding='UTF-8'?>\n<results preview='0'>\n"
    return f"{head}<meta>\n<fieldOrder>\n{order}</fieldOrder>\n</meta>\n{shown}</results>\n"


def _field(name: str, value: Any) -> str:
    if name == "_raw":
        inner = f"<v xml:space='preserve' trunc='0'>{escape(str(value))}</v>"
    else:
        values = value if isinstance(value, list) else [value]
        inner = "".join(f"<value><text>{escape(item)}</text></value>" for item in values)
    return f"\t\t<field k={quoteattr(name)}>{inner}</field>\n"


def _entry(name: str, content: Mapping[str, Any]) -> str:
    keys = "".join(
        f"<s:key name={quoteattr(key)}>{escape(str(int(value) if isinstance(value, bool) else value))}</s:key>\n"
        for key, value in content.items()
    )
    return f'<entry><title>{escape(name)}</title><content type="text/xml"><s:dict>\n{keys}</s:dict></content></entry>\n'


def _xml(body: str, status: int) -> web.Response:
    return web.Response(text=_XML + body, status=status, content_type="text/xml")
