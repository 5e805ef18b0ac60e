import io

import aiohttp
from structlog.testing import capture_logs

from gateway import quarantine
from gateway.diagnosis import Cause
from gateway.quarantine import UNKNOWN
from tests.signed import BODIES, SECRETS, signed_headers
from tests.world import World


async def test_over_http(world: World) -> None:
    """What the edge rejects, of every kind, is in the file once the gateway has stopped, and nothing secret is."""
    body = BODIES["github"] + b" "
    await world.post("github", signed_headers("github", BODIES["github"]), body)
    await world.post("slack", [], b"{}")
    await world.post("stripe", [], io.BytesIO(b"x" * 1_100_000))
    await world.post("strype", [], b"{}")
    async with aiohttp.ClientSession() as session, session.get(world.url("shopify")):
        pass
    url = f"http://127.0.0.1:{world.gateway.port}/stripe"
    async with aiohttp.ClientSession() as session, session.post(url, data=b"{}"):
        pass
    path = quarantine.path_of(world.gateway.config.inbox_path)
    await world.stop()
    held = quarantine.read(path)
    told = {(sample.source, sample.label, sample.findings[0].cause) for sample in held.samples}
    assert told == {
        ("github", "signature_mismatch", Cause.BODY_REWRITTEN),
        ("slack", "signature_missing", Cause.UNSIGNED),
        ("stripe", "body_too_large", Cause.BODY_LIMIT),
        ("shopify", "method_not_allowed", Cause.METHOD),
        (UNKNOWN, "unknown_source", Cause.URL_NAME),
    }
    assert [sample.body_bytes for sample in held.samples if sample.source == "stripe"] == [1_100_000]
    for secret in SECRETS.values():
        assert secret.encode() not in path.read_bytes()


async def test_intake_goes_on_without_the_quarantine(world: World) -> None:
    """While the quarantine's file cannot be written, deliveries are kept and rejections answered as ever."""
    path = quarantine.path_of(world.gateway.config.inbox_path)
    path.mkdir()
    for _ in range(3):
        assert (await world.post("github", [], b"{}"))[0] == 401
        assert (await world.send("stripe", BODIES["stripe"]))[0] == 200
    with capture_logs() as lines:
        await world.stop()
    assert not [line for line in lines if line["event"] == "crashed"]
