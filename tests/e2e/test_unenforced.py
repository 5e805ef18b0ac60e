"""enforce = false: what fails verification is reported, kept and forwarded, and stands in nobody's way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.model import State
from tests.signed import BODIES, dumps, signed_headers
from tests.world import World

LENIENT = """
[sources.lenient]
provider = "{provider}"
secrets = ["${{{variable}}}"]
enforce = false
metadata = true
"""
GITHUB = LENIENT.format(provider="github", variable="GITHUB_SECRET")
SLACK = LENIENT.format(provider="slack", variable="SLACK_SIGNING_SECRET")
STANDARD = LENIENT.format(provider="standard-webhooks", variable="STANDARD_SECRET")
BODY = BODIES["github"]


async def post(world: World, headers: Any, body: bytes = BODY) -> tuple[int, Any, Any]:
    """Post to the lenient source; return status, answer and log line."""
    with capture_logs() as lines:
        status, text = await world.post("lenient", headers, body)
    [line] = [line for line in lines if line["event"] == "request"]
    return status, json.loads(text), line


def wrong(provider: str = "github", body: bytes = BODY) -> tuple[tuple[str, str], ...]:
    """Sign a body with another secret."""
    return signed_headers(provider, body, secret="whsec_" + "B" * 32)


async def test_what_fails_is_kept_marked_and_forwarded(idle_world: World) -> None:
    """It is answered 2xx, its log line is a warning with the failure, and its event says that it is unverified."""
    await idle_world.start(GITHUB)
    status, answer, line = await post(idle_world, wrong())
    assert (status, answer["status"], answer["delivery"].partition(":")[0]) == (200, "accepted", "unverified")
    assert (line["outcome"], line["reason"], line["log_level"]) == ("accepted", "unverified_kept", "warning")
    assert "signature_mismatch" in line["detail"]
    [event] = await idle_world.arrived(1)
    assert (event.data or {})["_gateway"]["verified"] is False
    [history] = await idle_world.settled(1)
    delivery = history.entry.delivery
    assert (delivery.verified, delivery.secret) == (False, None)
    assert delivery.doubt.startswith("signature_mismatch: ")


async def test_a_copy_absorbs_nothing(idle_world: World) -> None:
    """An unverified request with a genuine delivery's id, before it or after it, leaves the genuine one alone."""
    await idle_world.start(GITHUB)
    outcomes = [
        (await post(idle_world, headers))[1]
        for headers in (wrong(), signed_headers("github", BODY), wrong(), signed_headers("github", BODY))
    ]
    assert [answer["status"] for answer in outcomes] == ["accepted", "accepted", "duplicate", "duplicate"]
    assert outcomes[0]["delivery"] == f"unverified:{outcomes[1]['delivery']}"
    events = await idle_world.arrived(2)
    assert len({event.id for event in events}) == 2
    verified = [history.entry.delivery.verified for history in await idle_world.settled(2, State.FORWARDED)]
    assert sorted(verified) == [False, True]


async def test_a_verified_request_is_as_ever(idle_world: World) -> None:
    """What verifies has neither mark nor warning."""
    await idle_world.start(GITHUB)
    _, _, line = await post(idle_world, signed_headers("github", BODY))
    assert (line["log_level"], "reason" in line, line["secret"]) == ("info", False, "GITHUB_SECRET")
    [event] = await idle_world.arrived(1)
    assert "verified" not in (event.data or {})["_gateway"]


async def test_an_unsigned_request_has_the_id_that_it_claims(idle_world: World) -> None:
    """Where the signature would prove the id, the one that an unverified request claims is used, under its own kind."""
    await idle_world.start(STANDARD)
    _, answer, line = await post(idle_world, [("webhook-id", "msg_9")], dumps({"type": "a"}))
    assert (answer["delivery"], line["reason"]) == ("unverified:msg_9", "unverified_kept")


@pytest.mark.parametrize("headers", [wrong("slack", BODIES["slack"]), ()])
async def test_a_handshake_needs_the_signature(idle_world: World, headers: Any) -> None:
    """A handshake that does not verify is refused all the same, and kept no more than any other."""
    await idle_world.start(SLACK)
    body = dumps({"type": "url_verification", "challenge": "c" * 20})
    status, answer, _ = await post(idle_world, headers, body)
    assert (status, answer["status"]) == (401, "rejected")
    assert not (await idle_world.gateway.inbox.counts()).by_source


async def test_what_is_malformed_is_refused_all_the_same(idle_world: World) -> None:
    """Only verification is not enforced: a body that no transform could read is 400."""
    await idle_world.start(GITHUB)
    status, answer, _ = await post(idle_world, wrong(), b"\xff\xfe")
    assert (status, answer["reason"]) == (400, "body_malformed")
