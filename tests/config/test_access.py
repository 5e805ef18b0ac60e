"""Secrets with labels and ends, and who may send, as the file says it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import build
from gateway.config import Config

HEAD = '[sources.x]\nprovider = "github"\n'
ENVIRON = {"INNGEST_EVENT_KEY": "k", "A": "an-old-secret", "B": "a-new-secret", "TOKEN": "t" * 24}
DAY = 86_400_000


def unix(text: str) -> int:
    """Return unix milliseconds of a moment."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def test_secrets_are_called_by_their_labels(load_text: Callable[..., Config], tmp_path: Path) -> None:
    """A label is the one given, else the variable's or the file's name; both forms of an item mix."""
    (tmp_path / "old.key").write_text("from a file")
    text = 'secrets = ["${A}", "file:old.key", { value = "${B}", label = "2026-10", not_after = 2026-12-01 }]'
    made = build.sources(load_text(HEAD + text, ENVIRON))["x"]
    assert made.labels == ("A", "old.key", "2026-10")
    assert made.secrets == ("an-old-secret", "from a file", "a-new-secret")
    assert "secret" not in repr(made.labels)


@pytest.mark.parametrize(
    ("written", "last"),
    [
        ("2026-12-01", "2026-12-01T23:59:59.999+00:00"),
        ("2026-12-01T12:00:00Z", "2026-12-01T12:00:00+00:00"),
        ("2026-12-01T12:00:00+02:00", "2026-12-01T10:00:00+00:00"),
    ],
)
def test_a_secret_ends(load_text: Callable[..., Config], written: str, last: str) -> None:
    """A day is meant to its end, in UTC; a moment is meant as it is."""
    text = f'secrets = ["${{A}}", {{ value = "${{B}}", not_after = {written} }}]'
    made = build.sources(load_text(HEAD + text, ENVIRON))["x"]
    assert made.not_after == (None, unix(last))
    assert (made.expired(unix(last)), made.expired(unix(last) + 1)) == ((), (1,))


@pytest.mark.parametrize(
    ("days", "words"),
    [(-1, "ended on 2026-12-01 at 23:59 UTC"), (13, "ends on 2026-12-01 at 23:59 UTC"), (15, "")],
)
def test_the_end_of_a_secret_is_warned_of(load_text: Callable[..., Config], days: int, words: str) -> None:
    """An operator is told of secrets that ended, or will within two weeks, by their labels."""
    text = 'secrets = ["${A}", { value = "${B}", label = "older", not_after = 2026-12-01 }]'
    end = unix("2026-12-01T23:59:59.999+00:00")
    notes = build.notes(load_text(HEAD + text, ENVIRON), end - days * DAY)
    assert words in notes.get("x", "")
    assert ("older" in notes.get("x", "")) is bool(words)


def test_a_source_may_have_a_url_of_its_own(load_text: Callable[..., Config]) -> None:
    """The source's own public_url is as registered, slash and all, with the path token at its end."""
    text = HEAD + 'secrets = ["${A}"]\npublic_url = "https://example.com/in/x/"\n'
    assert build.sources(load_text(text, ENVIRON))["x"].public_url == "https://example.com/in/x/"
    made = build.sources(load_text(text + 'path_token = "${TOKEN}"', ENVIRON))["x"]
    assert made.public_url == f"https://example.com/in/x/{'t' * 24}"
    assert "ttt" not in repr(made)


def test_what_is_risky_is_noted(load_text: Callable[..., Config]) -> None:
    """A source that enforces nothing, and an allow list without named proxies, are said at start."""
    text = HEAD + 'secrets = ["${A}"]\nenforce = false\nallow = ["203.0.113.7"]\n'
    note = build.notes(load_text(text, ENVIRON), 0)["x"]
    assert "enforce = false" in note
    assert "server.trusted_proxies" in note
    behind = '[server]\ntrusted_proxies = ["10.0.0.0/8"]\n' + text
    assert "trusted_proxies" not in build.notes(load_text(behind, ENVIRON), 0)["x"]


def test_a_public_url_without_the_token(faults: Callable[..., list[str]]) -> None:
    """The path token is put at the end of a source's public_url, so it is not written into that."""
    text = HEAD + 'secrets = ["${A}"]\npath_token = "${TOKEN}"\npublic_url = "https://a/${TOKEN}"'
    fault = "sources.x.public_url: holds the path token, which is put at its end; leave it out"
    assert faults(text, ENVIRON) == [f"gateway.toml: {fault}"]


def test_a_learned_secret_has_no_end(faults: Callable[..., list[str]]) -> None:
    """A secret that a handshake gives has no not_after, after which the handshake could give no other."""
    text = '[sources.x]\nprovider = "asana"\nsecrets = [{ value = "learned:x.secret", not_after = 2026-12-01 }]'
    [fault] = faults(text, ENVIRON)
    assert fault.startswith("gateway.toml: sources.x.secrets[0]: is learned and has a not_after")


def test_nothing_to_enforce(faults: Callable[..., list[str]]) -> None:
    """Enforce = false beside verify = "none" is a fault, as there is nothing that could fail."""
    [fault] = faults(HEAD + 'verify = "none"\nenforce = false', ENVIRON)
    assert fault.startswith('gateway.toml: sources.x.enforce: is false, and verify = "none" checks nothing anyway')


def test_a_published_secret_is_refused(faults: Callable[..., list[str]]) -> None:
    """A secret that its vendor publishes for tests is none, as anyone can sign with it."""
    text = '[sources.x]\nprovider = "zendesk"\nsecrets = ["${A}"]'
    [fault] = faults(text, {**ENVIRON, "A": "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="})
    assert "publishes for tests, so anyone can sign with it" in fault


def test_a_signed_url_must_be_configured(faults: Callable[..., list[str]], load_text: Callable[..., Config]) -> None:
    """A scheme over the URL needs one of the two public URLs; it is never guessed."""
    text = (
        '[sources.x]\nprovider = "hmac"\nsecrets = ["${A}"]\n%s[sources.x.signature]\nheader = "X-S"\n'
        'signed = "{url}{body}"\n'
    )
    [fault] = faults(text % "", ENVIRON)
    assert fault.startswith(
        "gateway.toml: server.public_url: is missing, and the signature of source x is over the URL"
    )
    assert load_text(text % 'public_url = "https://a/b"\n', ENVIRON).sources["x"].public_url == "https://a/b"


def test_now_is_not_read(load_text: Callable[..., Config]) -> None:
    """A configuration whose secret has ended long ago still loads: the end is a matter of the running gateway."""
    made = load_text(HEAD + 'secrets = [{ value = "${A}", not_after = 2001-01-01 }]', ENVIRON)
    assert build.notes(made, int(datetime.now(UTC).timestamp() * 1000))["x"].endswith("matches no more; remove it")
