"""The fuzz in its short form: the same draws, verdicts and oracle as `make fuzz`, some thousands of them."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from gateway import build, rejections
from gateway.config import load
from gateway.model import Delivery
from gateway.verify import verify
from tests.fuzz import engine, mutations, wire
from tests.fuzz.engine import Tally
from tests.fuzz.oracle import faults
from tests.fuzz.targets import Hall, Target, arrange, targets

SEED = 4
REQUESTS = 4_000
POSTED = 120

Arranged = tuple[Hall, list[Target], int]


@pytest.fixture(scope="module")
def arranged(tmp_path_factory: pytest.TempPathFactory) -> Arranged:
    """Give the sources of all providers, and requests that are genuine now."""
    hall, now = arrange(tmp_path_factory.mktemp("fuzz")), int(time.time() * 1000)
    return hall, targets(hall, now, random.Random(SEED)), now


def test_genuine(arranged: Arranged) -> None:
    """Every request that the fuzz begins with is taken, or its changes would prove nothing."""
    _, found, now = arranged
    for target in found:
        for request in target.genuine:
            assert isinstance(verify(request, target.source, now), Delivery), target.source.name


def test_verdicts(arranged: Arranged) -> None:
    """Whatever a request holds it is refused with a documented status, in bounded time, or is as it was signed."""
    hall, found, now = arranged
    sources = build.sources(load(hall.path, hall.environ))
    tally = engine.run(found, sources, SEED, range(REQUESTS), now)
    assert tally.faults == []
    assert tally.requests == REQUESTS
    assert {"accepted", "handshake", "signature_mismatch", "signature_missing", "header_repeated"} <= set(
        tally.outcomes
    )


def test_over_http(arranged: Arranged) -> None:
    """Over raw sockets the answers are the documented ones, nothing that verify refuses gets in, nothing crashes."""
    hall, found, _ = arranged
    with wire.running(hall):
        tally = wire.run(hall.port, found, SEED, range(POSTED))
    assert tally.faults == []
    assert {"http 200", "http 400", "http 401", "http 405"} <= set(tally.outcomes)


def test_draws_repeat(arranged: Arranged) -> None:
    """A seed and a number draw the same request again, so that a fault can be looked at."""
    _, found, _ = arranged
    assert engine.draw(found, SEED, 17) == engine.draw(found, SEED, 17)


def test_oracle(arranged: Arranged) -> None:
    """The judge of the fuzz notices what must not be: forgeries taken, secrets told, errors without a status."""
    _, found, now = arranged
    target = next(target for target in found if target.source.name == "linear")
    genuine = target.genuine[0]
    taken = verify(genuine, target.source, now)
    forged = replace(genuine, body=genuine.body + b" ")
    told = rejections.SignatureMismatch(f"not signed with {target.source.secrets[0]}")
    assert faults(target, genuine, genuine, taken) == []
    assert "was changed, and was taken" in faults(target, genuine, forged, taken)[0]
    assert faults(target, genuine, forged, told) == ["the sentence holds the secret"]
    assert faults(target, genuine, forged, KeyError("x")) == ["verify raised KeyError: 'x'"]
    assert faults(target, genuine, forged, rejections.SecretMissing("x")) == ["the status 503 is not a documented one"]


def test_mutations(arranged: Arranged) -> None:
    """Every mutation changes some request."""
    _, found, _ = arranged
    rng = random.Random(SEED)
    genuine = [rng.choice(found).genuine for _ in range(300)]
    for name, change in mutations.MUTATIONS.items():
        assert any(change(rng, one, other) != one for one, other, _ in genuine), name


def test_tally() -> None:
    """A tally keeps the slowest ten and the first faults of all its parts."""
    whole = Tally()
    for part in range(4):
        tally = Tally()
        for number in range(10):
            tally.count("accepted", part * 10 + number, str(number), ["fault"] if number == 0 else [])
        whole.add(tally)
    assert (whole.requests, whole.outcomes["accepted"], len(whole.faults)) == (40, 40, 4)
    assert [spent for spent, _ in whole.worst] == list(range(30, 40))
