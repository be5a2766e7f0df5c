import pytest

from headrace_services.ingress.content_types import Kind, kind_of

VENDOR = "application/vnd.redhat."


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/gzip", Kind("advisor", "upload")),
        ("application/x-gzip; charset=binary", Kind("advisor", "upload")),
        ("application/gzip; charset=binary", Kind("advisor", "upload")),
        ("application/x-gzip", None),
        ("application/gzip;charset=binary", None),
        ("Application/gzip", None),
        (" application/gzip", None),
        ("application/octet-stream", None),
        ("text/csv", None),
        ("", None),
        (f"{VENDOR}ols.periodic+tar", Kind("ols", "periodic")),
        (f"{VENDOR}openshift.periodic", Kind("openshift", "periodic")),
        (f"{VENDOR}hccm.cost-mgmt+tgz", Kind("hccm", "cost-mgmt")),
        (f"{VENDOR}hccm.tar+tgz", Kind("hccm", "tar")),
        (f"{VENDOR}hccm.a.b+tgz", Kind("hccm", "a")),
        (f"{VENDOR}assisted-installer.events+tar", Kind("assisted-installer", "events")),
        (f"text before {VENDOR}ols.x and after", Kind("ols", "x")),
        (f"{VENDOR}x1-2.y3-4_z", Kind("x1-2", "y3-4")),
        (f"{VENDOR}hccm", None),
        (f"{VENDOR}hccm.", None),
        (f"{VENDOR}HCCM.x", None),
        (f"{VENDOR}.x", None),
        ("application/vnd_redhat.ols.x", None),
        ("APPLICATION/VND.REDHAT.ols.x", None),
    ],
)
def test_a_content_type_names_service_and_category_as_upstream_reads_it(content_type: str, kind: Kind | None):
    assert kind_of(content_type) == kind
