"""Traps that other gateways fell into, where no test of a row holds them."""

import hmac
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.signed import BODIES, dumps, signed_headers
from tests.world import World

SECRET_TEXT = "the customer's own words"
BODY = dumps({"id": "o-1", "type": "made", "note": SECRET_TEXT})


def headers_of(world: World, body: bytes, *, secret: str | None = None) -> dict[str, str]:
    """Sign a body of the source acme as of now."""
    return dict(signed_headers("hmac", body, secret=secret, at=world.gateway.clock.wall()))


async def test_forged_copy_claims_no_id(world: World) -> None:
    """A forged request with the id of a delivery to come is 401 and does not make the genuine one a duplicate."""
    forged = headers_of(world, BODY, secret="a guess of thirty-two bytes long")
    assert (await world.post("acme", forged.items(), BODY))[0] == 401
    status, text = await world.post("acme", headers_of(world, BODY).items(), BODY)
    assert (status, json.loads(text)["status"]) == (200, "accepted")


async def test_slack_re_send_has_another_timestamp(world: World) -> None:
    """Slack signs a re-send with a new timestamp, which is no part of what a delivery is known by."""
    now = world.gateway.clock.wall()
    with capture_logs() as lines:
        for ago in (60_000, 30_000, 0):
            assert (await world.send("slack", BODIES["slack"], at=now - ago))[0] == 200
        await world.arrived(1)
    assert [line["outcome"] for line in lines if line["event"] == "request"] == ["accepted", "duplicate", "duplicate"]
    assert len(world.event_api.events) == 1


@pytest.mark.parametrize("wrong", ["signature", "secret", "body"])
async def test_bad_signature_logs_no_body(world: World, wrong: str) -> None:
    """What is logged and answered for a bad signature holds neither the body nor the signature."""
    secret = "a guess of thirty-two bytes long" if wrong == "secret" else None
    headers = headers_of(world, BODY, secret=secret)
    if wrong == "signature":
        headers["x-acme-signature"] = "sha256=" + "0" * 64
    body = BODY.replace(b"o-1", b"o-2") if wrong == "body" else BODY
    with capture_logs() as lines:
        status, text = await world.post("acme", headers.items(), body)
    assert status == 401
    for told in (str(lines), text):
        assert SECRET_TEXT not in told
        assert headers["x-acme-signature"].removeprefix("sha256=") not in told


@pytest.mark.parametrize("source", ["slack", "github", "shopify", "standard", "acme"])
async def test_signatures_are_compared_in_constant_time(
    world: World, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A signature is compared by the function whose time tells nothing of where it differs."""
    compared: list[Any] = []
    real = hmac.compare_digest

    def watch(one: Any, other: Any) -> bool:
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr("hmac.compare_digest", watch)
    name = {"standard": "standard-webhooks", "acme": "hmac"}.get(source, source)
    assert (await world.send(source, BODIES[name]))[0] == 200
    assert compared
