from tests.integration.assisted_events.harness import Endpoint, Sender


async def test_an_ended_installation_is_sent_as_the_contract_says(sender: Sender, endpoint: Endpoint) -> None:
    (cluster_id,) = await sender.simulate(hosts=3, events=100)
    sending = await sender.in_state(cluster_id, "sent")
    (upload,) = endpoint.accepted
    print(sending, upload.headers, upload.part, {k: str(v)[:300] for k, v in upload.members.items()})
