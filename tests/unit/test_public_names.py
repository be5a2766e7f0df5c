"""The names that authors import: a change of one is a decision, told in CHANGELOG.md, and not an accident."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from headrace.rules import SHIPPED_PACK

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A module in the text of a page, not only in an example.
NAMED = re.compile(r"`((?:headrace|headrace_services)(?:\.[a-z_]+)+)(?:\.[A-Za-z]\w*)?`")
PAGES = [ROOT / "docs" / name for name in ("adding-a-service.md", "adding-a-sender.md", "rules.md")]
# What the pages name as a whole: it is given to the engine by name, and nothing is imported from it.
PACKAGES = {SHIPPED_PACK}
# The folders that the pages make.
EXAMPLES = ("headrace_services.last_seen", "headrace_services.node_reports")

RULES = "headrace.rules"
PUBLIC = {
    # For authors of services.
    "headrace.archives.writer": {"Entry", "write_archive"},
    "headrace.bus.consumption": {"Consumption", "Membership", "Term"},
    "headrace.bus.delivery": {
        "Delivery", "Ending", "Handler", "KeyFunction", "Later", "M", "Payload", "Spent", "Work", "plain", "written_at",
    },
    "headrace.web.operations": {
        "Answer", "Body", "Dialect", "Header", "JSON", "Operation", "Operations", "Routing",
        "summary_of",
    },
    "headrace.contracts.archive_synced": {"ArchiveMetadata", "ArchiveSynced"},
    "headrace.contracts.headers": {"IDENTITY_HEADER", "REQUEST_ID_HEADER"},
    "headrace.contracts.topics": {
        "ARCHIVE_SYNCED", "DEAD_LETTER_SUFFIX", "DVO_RESULTS", "M", "OCP_RESULTS", "PAYLOAD_STATUS",
        "RECOMMENDATION_REQUESTS", "ROS_EVENTS", "SOURCES_EVENTS", "SOURCES_RESOURCES", "Topic", "UPLOAD_ANNOUNCE",
        "UPLOAD_VALIDATION", "WORKLOAD_INFO",
    },
    "headrace.database.owners": {"ForeignCluster", "Owned", "foreign", "move_cluster", "owned_clusters"},
    "headrace.database.pool": {"Connection", "Database", "Record"},
    "headrace.runtime.answers": {"BUSY", "is_transient", "retry_after_seconds"},
    "headrace.runtime.errors": {
        "ConfigurationError", "Fatal", "HeadraceError", "Permanent", "Poison", "Rejected", "Retryable",
    },
    "headrace.runtime.logging": {"KeptLog", "configure", "get_logger", "redact"},
    "headrace.runtime.retries": {"RetryPolicy", "T", "retrying"},
    "headrace.runtime.set_by": {"Setting"},
    "headrace.runtime.settings": {
        "EngineSettings", "ProcessSettings", "S", "Settings", "env", "environment_name", "is_set", "load",
    },
    "headrace.service.context": {"Context", "M", "S"},
    "headrace.service.row": {"Service"},
    "headrace.web.caller": {
        "BadAuthorization", "IDENTITY_SCHEME", "has_identity", "identity_of", "sent_authorization",
        "sent_identity",
    },
    "headrace.web.errors": {"Refusal", "excerpt", "json_errors", "json_response"},
    "headrace.web.multipart": {"file_form"},
    "headrace.web.schemas": {
        "BINARY", "BOOLEAN", "COUNT", "Json", "MOMENT", "NUMBER", "OBJECT", "STORED_TEXT", "TEXT", "UUID", "array",
        "closed", "mapping", "nullable", "record", "reference", "whole",
    },
    # For authors of senders.
    "headrace.testing": {
        "ArchivedUpload", "AsyncHeadrace", "AsyncPayload", "Headrace", "Payload", "PayloadFailed", "Places", "Session",
        "StackNotStarted", "Verdict",
    },
    # For authors of rules.
    f"{RULES}.contexts": {"CLUSTER_ID", "CLUSTER_VERSIONS", "GATHERING_REPORTS", "InsightsOperatorContext"},
    f"{RULES}.details": {"MAX_OFFENDERS", "offenders", "pass_of_conditions"},
    f"{RULES}.evaluation": {"DEFAULT_LIMITS", "Evaluation", "Rules", "RulesConfig"},
    f"{RULES}.parsers.access": {
        "ApiRequestCounts", "ApiUse", "Certificate", "CertificateSigningRequest", "IngressCertificates", "ListFile",
        "Webhook", "WebhookConfiguration",
    },
    f"{RULES}.parsers.cluster": {"ClusterOperator", "ClusterVersion", "ImageRegistry"},
    f"{RULES}.parsers.documents": {
        "ConditionedObject", "JsonFile", "KubernetesObject", "Metadata", "ObjectFile", "ObjectHead", "Status",
    },
    f"{RULES}.parsers.gathered": {"GatheredAt"},
    f"{RULES}.parsers.monitoring": {"ActiveAlerts", "Alert", "Alerts", "MAX_ALERTS", "Metrics", "Sample"},
    f"{RULES}.parsers.nodes": {"MachineConfigPool", "Node"},
    f"{RULES}.parsers.pods": {
        "ContainerStatus", "Event", "Events", "MAX_IMAGE_CHARACTERS", "Pod", "RunningContainers",
    },
    f"{RULES}.reading": {
        "Condition", "MAX_NAME_CHARACTERS", "MAX_TEXT_CHARACTERS", "at", "condition", "integer", "mapping", "moment",
        "moment_of_milliseconds", "name_at", "newest", "objects", "shown", "text",
    },
    f"{RULES}.specs": {"InsightsOperatorSpecs", "MAX_FILES", "Specs"},
    f"{RULES}.testing": {"MODIFIED", "archive", "judge"},
}  # fmt: skip


def defined(module):
    """What a module offers: its ``__all__``, or else the names without an underscore that it defines itself."""
    spec = find_spec(module)
    assert spec is not None, f"there is no module {module}"
    names = set()
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return set(ast.literal_eval(value))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_offers_its_public_names_and_no_others(module):
    assert defined(module) == PUBLIC[module]


def imports(page):
    """``(module, name)`` of everything of ours that the examples of a page import."""
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in {
                    "headrace",
                    "headrace_services",
                }:
                    yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_tells_authors_to_import_is_public(page):
    told = [(module, name) for module, name in imports(page) if not module.startswith(EXAMPLES)]
    assert told
    assert [(module, name) for module, name in told if name not in PUBLIC.get(module, ())] == []
    named = set(NAMED.findall(page.read_text(encoding="utf-8"))) - PACKAGES
    assert {
        module for module in named if module not in PUBLIC and module.rpartition(".")[0] not in PUBLIC
    } == set()
