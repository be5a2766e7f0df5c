"""The document that Kruize serves says what it does: its clients' requests fit it, made-up ones are answered by it."""

import asyncio

import jsonschema
import pytest
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from headrace_services.kruize.api import Api
from headrace_services.kruize.settings import KruizeSettings
from tests.integration.kruize.harness import experiment, new_name, profile, record
from tests.openapi import check_all

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

# What Kruize checks beyond shapes is more than a schema says, and unknown parameters are ignored here and there.
NOT_CHECKED = [positive_data_acceptance, negative_data_rejection]


async def test_every_route_is_in_the_document_and_answers_as_it_says(kruize):
    document = (await kruize.get("/openapi.json")).json
    api = Api(*[None] * 6, settings=KruizeSettings())
    routes = {
        (route.method, route.resource.canonical)
        for route in api.application().router.routes()
        if route.method != "HEAD"
    }
    assert {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    } == routes
    name = new_name()
    await kruize.create(experiment(name, "c"))
    checked = await asyncio.to_thread(
        check_all,
        document,
        kruize.url,
        {},
        not_checked=NOT_CHECKED,
        examples=4,
        known={"experiment_name": name},
    )
    assert len(checked) == len(routes)


async def test_what_clients_send_fits_the_document(kruize):
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
