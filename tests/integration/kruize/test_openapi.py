"""The document that Kruize serves says what it does: its clients' requests fit it, made-up ones are answered by it."""

import jsonschema
import pytest
import pytest_asyncio
from aiohttp import web
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from headrace_services.kruize.api import Api
from headrace_services.kruize.settings import KruizeSettings
from tests.integration.kruize.harness import Kruize, experiment, new_name, profile, record
from tests.openapi import ABSENT, Conformance, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def served(kruize: Kruize) -> Served:
    name = new_name()
    await kruize.create(experiment(name, "c"))
    return Served(kruize.url, known={"experiment_name": name})


class TestKruize(Conformance):
    examples = 2
    # What Kruize checks beyond shapes is more than a schema says, and unknown parameters are ignored here and there.
    not_checked = (positive_data_acceptance, negative_data_rejection)

    def application(self) -> web.Application:
        return Api(*[ABSENT] * 6, *[KruizeSettings()]).application()


async def test_what_clients_send_fits_the_document(kruize: Kruize) -> None:
    document = (await kruize.get("/openapi.json")).json
    name = new_name()
    for path, body in (
        ("/createPerformanceProfile", profile()),
        ("/createExperiment", [experiment(name, "c")]),
        ("/updateResults", [record(name)]),
    ):
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(body, schema | {"components": document["components"]})
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(
                [{}] if isinstance(body, list) else {}, schema | {"components": document["components"]}
            )
