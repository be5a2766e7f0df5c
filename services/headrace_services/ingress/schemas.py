"""The bodies of uploads and answers, as JSON Schemas."""

from typing import Final

from headrace.web.schemas import BINARY, OBJECT, TEXT, Json, array, mapping, record

# The body of a test of the connection.
TEST: Final = record((), test={"type": "string", "enum": ["test"]})
FORM: Final = record(
    (),
    file=BINARY | {"description": "the archive"},
    upload=BINARY | {"description": "the archive, if there is no `file`"},
    metadata=TEXT | {"description": "a JSON object (see `Metadata`), as a value or as a file"},
)
# The content types of the file part in the document; any type that names a service is accepted.
PART_TYPES: Final = dict.fromkeys(("file", "upload"), "application/vnd.redhat.ols.periodic+tar")

_METADATA: Final = (
    "account", "org_id", "insights_id", "machine_id", "subscription_manager_id", "fqdn", "bios_uuid", "display_name",
    "ansible_host",
)  # fmt: skip
SCHEMAS: Final[Json] = {
    "Upload": record(request_id=TEXT, upload=record((), account_number=TEXT, org_id=TEXT)),
    "Version": record(version=TEXT, commit=TEXT),
    "Status": record((), **dict.fromkeys(("status_msg", "date", "inventory_id", "service", "status"), TEXT)),
    "Payload": record(("data",), data=array(OBJECT), duration=OBJECT),
    "Metadata": record(
        (),
        ip_addresses=array(TEXT),
        mac_addresses=array(TEXT),
        **dict.fromkeys(_METADATA, TEXT),
        custom_metadata=mapping(TEXT),
        queue_key=TEXT | {"description": "key of the announcement"},
    )
    | {"description": "Unknown keys are dropped; if a value is invalid, all metadata is dropped."},
}
