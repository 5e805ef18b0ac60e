"""How re-sends are known: by the delivery id, and by what was signed wherever the signature leaves the id out."""

import hashlib
from pathlib import Path

import pytest

from gateway import build, config, dedupe, providers, signatures
from gateway.model import Delivery, Request
from gateway.sources import Source
from gateway.verify import verify

NOW = 1_800_000_000_000
SECRET = "correct-horse-battery-staple"
DAY = 86_400_000
SIGNED_WITH_ID = 'header = "X-S"\nid = "header:X-Id"\nsigned = "{id}.{body}"'
BODY = '{"id":"evt_1","type":"t"}'


def source(folder: Path, signature: str, delivery: str = "", more: str = "") -> Source:
    """Build the source that a configuration describes."""
    path = folder / "gateway.toml"
    path.write_text(
        f'[event_api]\nkey = "${{KEY}}"\n[sources.x]\nprovider = "hmac"\nsecrets = ["${{S}}"]\n{more}\n'
        f"[sources.x.signature]\n{signature}\n[sources.x.delivery]\n{delivery}\n"
    )
    return build.sources(config.load(path, {"KEY": "k", "S": SECRET}))["x"]


def deliver(inlet: Source, body: str = BODY, at: int = NOW, **headers: str) -> Delivery:
    """Sign a request under the source's first scheme and verify it."""
    given = tuple((name.replace("_", "-").lower(), value) for name, value in headers.items())
    request = Request("POST", "/webhooks/x", "", given, body.encode(), at)
    scheme = inlet.schemes[0]
    value = signatures.sign(request, scheme, inlet.keys[0][0], {})
    signed = Request("POST", "/webhooks/x", "", (*given, (scheme.headers[0], value)), body.encode(), at)
    made = verify(signed, inlet, at)
    assert isinstance(made, Delivery)
    return made


def sha256(text: str) -> str:
    """Return the hash in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("signature", "delivery"),
    [
        ('header = "X-S"', 'id = "json:/id"'),
        ('header = "X-S"', 'id = "{json:/id}:{json:/type}"'),
        (SIGNED_WITH_ID, ""),
        ('header = "X-S"\nsigned = "{header:X-Id}.{body}"', 'id = "header:X-Id"'),
        ('header = "X-S"\nmethod = "token"', 'id = "header:X-Id"'),
        ('header = "X-S"', 'id = "header:X-Id"\nequal_bodies = "distinct"'),
    ],
)
def test_an_id_that_nobody_can_change_is_enough(tmp_path: Path, signature: str, delivery: str) -> None:
    """Where the signature covers the id, signs nothing, or equal bodies are different facts, there is no digest."""
    assert deliver(source(tmp_path, signature, delivery), X_Id="d1").digest == ""


@pytest.mark.parametrize(
    ("signature", "delivery", "basis"),
    [
        ('header = "X-S"', 'id = "header:X-Id"', BODY),
        ('header = "X-S"', 'id = "{json:/id}:{header:X-Id}"', BODY),
        ('header = "X-S"\nsigned = "v0:{body}"', 'id = "header:X-Id"', f"v0:{BODY}"),
        ('header = "X-S"\nsigned = "{json:/id}"', 'id = "header:X-Id"', f"evt_1{BODY}"),
    ],
)
def test_an_id_that_anyone_can_change_is_not(tmp_path: Path, signature: str, delivery: str, basis: str) -> None:
    """Where the signature leaves the id out, the digest is over what it covers, and the body in any case."""
    inlet = source(tmp_path, signature, delivery)
    one, other = deliver(inlet, X_Id="d1"), deliver(inlet, X_Id="d2")
    assert one.id != other.id
    assert one.digest == other.digest == sha256(basis)


def test_an_id_taken_away(tmp_path: Path) -> None:
    """Who leaves out an id that is not signed makes no other delivery of it."""
    inlet = source(tmp_path, 'header = "X-S"', 'id = "header:X-Id"')
    one, other = deliver(inlet, X_Id="d1"), deliver(inlet)
    assert one.id != other.id
    assert one.digest == other.digest == sha256(BODY)


@pytest.mark.parametrize("signed", ["{form_sorted}", "{form_amp_sorted:sig}"])
def test_fields_in_another_order(tmp_path: Path, signed: str) -> None:
    """Where a form's sorted fields are signed, one that is written otherwise is the same delivery."""
    inlet = source(tmp_path, f'header = "X-S"\nsigned = "{signed}"', 'id = "header:X-Id"')
    one, other = deliver(inlet, "a=1&b=2", X_Id="d1"), deliver(inlet, "b=%32&a=1", X_Id="d2")
    assert one.id != other.id
    assert one.digest == other.digest != ""


def test_another_body_under_an_equal_signature_is_told_apart(tmp_path: Path) -> None:
    """Deliveries whose signatures leave the body out, made in the same second, are not taken for one another."""
    inlet = source(tmp_path, 'header = "X-S"\nsigned = "{header:X-Time}"', 'id = "json:/id"')
    one, other = (deliver(inlet, body, X_Time="1800000000") for body in ('{"id":"a"}', '{"id":"b"}'))
    assert one.digest != other.digest


def test_the_spelling_of_a_signature_is_no_key(tmp_path: Path) -> None:
    """One signature written in two ways gives one digest."""
    inlet = source(tmp_path, 'header = "X-S"', 'id = "header:X-Id"')
    request = Request("POST", "/webhooks/x", "", (("x-id", "d1"),), BODY.encode(), NOW)
    value = signatures.sign(request, inlet.schemes[0], inlet.keys[0][0], {})
    made = [
        verify(Request("POST", "/webhooks/x", "", (("x-id", "d1"), ("x-s", text)), BODY.encode(), NOW), inlet, NOW)
        for text in (value, value.upper())
    ]
    assert [delivery.digest for delivery in made if isinstance(delivery, Delivery)] == [sha256(BODY)] * 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [("github", True), ("shopify", True), ("linear", True), ("standard-webhooks", False), ("stripe", False)],
)
def test_known_providers(name: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    """Whether a provider's deliveries have a digest follows from its data alone."""
    known = providers.get(name)
    digest = dedupe.compile_digest(known.schemes[0], known.equal_bodies)
    at = known.id[0] if known.id else ""
    proof = signatures.Proof(id="" if known.id else "msg_1", signed=b"x")
    assert bool(digest(Request("POST", "/", "", (), b"{}", NOW), proof, at)) is expected


def test_equal_bodies_that_are_different_facts(tmp_path: Path) -> None:
    """Without an id of its own each request is a delivery, by the time of receipt, and by nothing that is drawn."""
    inlet = source(tmp_path, 'header = "X-S"', 'equal_bodies = "distinct"')
    first, again, later = deliver(inlet), deliver(inlet), deliver(inlet, at=NOW + 1)
    assert first.id == again.id != later.id
    assert first.digest == ""


def test_different_facts_by_their_signed_time(tmp_path: Path) -> None:
    """Where a time is signed, a re-send that keeps it is known again whenever it comes."""
    signature = 'header = "X-S"\nsigned = "{timestamp}.{body}"\ntimestamp = "header:X-Time"'
    inlet = source(tmp_path, signature, 'equal_bodies = "distinct"')
    first, again = (deliver(inlet, at=NOW + late, X_Time=str(NOW // 1000)) for late in (0, 2_000))
    assert first.id == again.id
    assert deliver(inlet, X_Time=str(NOW // 1000 - 1)).id != first.id


def test_equal_bodies_without_an_id(tmp_path: Path) -> None:
    """Where equal bodies are one delivery, the hash of the body is its id whenever it comes."""
    inlet = source(tmp_path, 'header = "X-S"')
    assert deliver(inlet).id == deliver(inlet, at=NOW + DAY).id == f"sha256:{sha256(BODY)}"


@pytest.mark.parametrize(
    ("name", "keys", "days"),
    [
        ("github", {}, 7),
        ("stripe", {}, 7),
        ("docusign", {}, 15),
        ("adyen", {}, 30),
        ("adyen", {"dedupe_window_days": 3}, 3),
        ("github", {"dedupe_window_days": 20}, 20),
    ],
)
def test_the_window_outlasts_the_re_sends(name: str, keys: dict[str, int], days: int) -> None:
    """It is the inbox's, as long as the provider goes on where that is longer, and whatever the source itself says."""
    assert dedupe.window_days(providers.get(name), 7, keys.get("dedupe_window_days")) == days


@pytest.mark.parametrize("name", providers.names())
def test_no_provider_outlasts_its_window(name: str) -> None:
    """No re-send of any provider comes after what it repeats is forgotten."""
    known = providers.get(name)
    kept = dedupe.remembered_ms(dedupe.window_days(known, 7, None))
    assert kept > (known.retries.horizon_hours or 0) * 3_600_000
    assert kept > 7 * DAY


def test_a_source_keeps_a_day_more_than_its_window(tmp_path: Path) -> None:
    """The window in use is a day longer than what is promised."""
    assert source(tmp_path, 'header = "X-S"', more="dedupe_window_days = 3").dedupe_window_ms == 4 * DAY
