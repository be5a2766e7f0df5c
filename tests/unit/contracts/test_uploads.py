from headrace.contracts.uploads import ACCEPTED, CONSUMERS
from headrace.service.flow import consumers_of
from headrace_services.registry import SERVICES


def test_who_is_expected_to_report_on_an_upload_is_who_consumes_its_announcement():
    for service in ACCEPTED:
        consumers = consumers_of(SERVICES, service)
        direct = {name for name, before in consumers.items() if before == {"ingress"}}
        assert CONSUMERS.get(service, frozenset()) == direct, service
