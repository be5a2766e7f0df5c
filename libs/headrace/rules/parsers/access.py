"""Parsers of what decides about access: certificates, signing requests, admission webhooks, use of APIs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from insights.core.exceptions import SkipComponent
from insights.core.plugins import parser

from headrace.rules.parsers.documents import JsonFile, ObjectFile
from headrace.rules.reading import at, integer, mapping, moment, name_at, objects, text
from headrace.rules.specs import Specs

_WEBHOOK_KINDS: Final = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


class ListFile(JsonFile):
    """A JSON file that contains a list; ``null``, Go's empty list, counts as empty."""

    HOLDS, WHAT = list | None, "list"
    excerpt: list[Any] | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, named by the secret that contains it."""

    name: str
    namespace: str
    expires: datetime


@parser(Specs.ingress_certificates)
class IngressCertificates(ListFile):
    """``aggregated/ingress_controllers_certs.json``."""

    @property
    def certificates(self) -> Iterator[Certificate]:
        """The certificates whose expiry is known."""
        for one in objects(self.excerpt):
            if (expires := moment(one, "not_after")) is not None:
                yield Certificate(name_at(one, "name"), name_at(one, "namespace"), expires)


@parser(Specs.certificate_signing_requests)
class CertificateSigningRequest(ObjectFile):
    """``config/certificatesigningrequests/NAME.json``, whose keys the operator writes with capital letters."""

    name: str

    def parse_content(self, content: Any) -> None:
        """Read the file's bytes, or its lines."""
        super().parse_content(content)
        self.name = name_at(self.excerpt, "ObjectMeta", "name")
        if not self.name:
            raise SkipComponent(f"{self.file_path} is not a certificate signing request")

    @property
    def created(self) -> datetime | None:
        """When the request was created."""
        return moment(self.excerpt, "ObjectMeta", "creationTimestamp")

    @property
    def requester(self) -> str:
        """The name of its creator."""
        return text(self.excerpt, "Spec", "Username")

    @property
    def pending(self) -> bool:
        """Whether it is neither approved, denied, failed nor issued."""
        return not at(self.excerpt, "Status", "Conditions") and not at(self.data, "Status", "Cert")


@dataclass(frozen=True, slots=True)
class Webhook:
    """An admission webhook; ``service`` is namespace/name, empty if the webhook is called by URL."""

    name: str
    configuration: str
    service: str
    fails_closed: bool


@parser(Specs.webhooks)
class WebhookConfiguration(ObjectFile):
    """``config/validatingwebhookconfigurations/NAME.json`` and the mutating ones."""

    def parse_content(self, content: Any) -> None:
        """Read the file's bytes, or its lines."""
        super().parse_content(content)
        if self.excerpt.get("kind", _WEBHOOK_KINDS[0]) not in _WEBHOOK_KINDS:
            raise SkipComponent(f"{self.file_path} is not a webhook configuration")

    @property
    def webhooks(self) -> Iterator[Webhook]:
        """The webhooks of the configuration; a missing failure policy is Fail, the API's default."""
        for one in objects(self.excerpt, "webhooks"):
            service = mapping(one, "clientConfig", "service")
            parts = (name_at(service, "namespace"), name_at(service, "name"))
            yield Webhook(
                name=name_at(one, "name"),
                configuration=name_at(self.excerpt, "metadata", "name"),
                service="/".join(parts) if all(parts) else "",
                fails_closed=one.get("failurePolicy", "Fail") == "Fail",
            )


@dataclass(frozen=True, slots=True)
class ApiUse:
    """Requests to an API (resource.version.group), and the Kubernetes release that removes it."""

    resource: str
    removed_in: str
    requests: int


@parser(Specs.api_request_counts)
class ApiRequestCounts(ListFile):
    """``conditional/alerts/ALERT/api_request_counts.json``."""

    @property
    def uses(self) -> Iterator[ApiUse]:
        """The APIs with their numbers of requests."""
        for one in objects(self.excerpt):
            if resource := name_at(one, "resource"):
                count = max(0, integer(one, "total_request_count") or 0)
                yield ApiUse(resource, text(one, "removed_in_release"), count)
