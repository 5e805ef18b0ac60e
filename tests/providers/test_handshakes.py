"""Every handshake of the catalogue is answered as its file says, and none to someone else."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway import build, providers, signatures
from gateway.config import load
from gateway.dev import key_pairs
from gateway.handshakes import Handshake
from gateway.locators import pointer_tokens
from gateway.model import Learned, Reply, Request
from gateway.providers import catalogue
from gateway.rejections import RequestRejected
from gateway.scheme import Scheme
from gateway.sources import Source
from gateway.verify import verify

NOW = 1_700_000_000_000
SECRET = "5ec2e75ec2e75ec2e75ec2e75ec2e75e"
TOKEN = "20f9f8ed05f77439fe955c977e4c8a53"
GIVEN = "${SECRET}"
FORM = "application/x-www-form-urlencoded"
SHAKING = [(name, handshake) for name in catalogue.names() for handshake in providers.get(name).handshakes]


def make_source(folder: Path, name: str, reference: str = GIVEN, key: str = SECRET) -> Source:
    """Make a source of a provider through a configuration, every constant being `constant-<name>`."""
    params = "".join(f'{param} = "constant-{param}"\n' for param in providers.get(name).params)
    text = f'[sources.x]\nprovider = "{name}"\nsecrets = ["{reference}"]\n[sources.x.params]\n{params}'
    (folder / "gateway.toml").write_text('[server]\npublic_url = "https://hooks.example.com"\n' + text)
    environ = {"INNGEST_EVENT_KEY": "key", "SECRET": key}
    return build.sources(load(folder / "gateway.toml", environ))["x"]


class Draft:
    """A request that is put together place by place."""

    def __init__(self) -> None:
        self.query: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.form: dict[str, str] = {}
        self.document: dict[str, Any] = {}

    def put(self, where: str, value: str) -> None:
        """Put a value where a locator finds it; digits become a number in JSON."""
        kind, _, name = where.partition(":")
        if kind != "json":
            name = name.lower() if kind == "header" else name
            {"query": self.query, "header": self.headers, "form": self.form}[kind].setdefault(name, value)
            return
        *outer, last = pointer_tokens(name)
        table = self.document
        for token in outer:
            table = table.setdefault(token, {})
        table.setdefault(last, int(value) if value.isdecimal() else value)

    def request(self, method: str) -> Request:
        """Return the request so far."""
        body, kind = (urlencode(self.form), FORM) if self.form else (json.dumps(self.document), "application/json")
        bare = not (self.form or self.document)
        headers = (*self.headers.items(), *(() if bare else (("content-type", kind),)))
        query = urlencode(self.query)
        url = "https://hooks.example.com/webhooks/x" + (f"?{query}" if query else "")
        return Request(method, "/webhooks/x", query, headers, b"" if bare else body.encode(), NOW, url)


def draft_of(handshake: Handshake) -> Draft:
    """Return a draft that is the handshake, unsigned."""
    draft = Draft()
    for left, right in handshake.require:
        draft.put(left.strip("{}"), right.replace("{param:", "constant-").strip("{}"))
    for where, literal in handshake.when.items():
        draft.put(where, literal or TOKEN)
    if handshake.token:
        draft.put(handshake.token, TOKEN)
    return draft


def timestamp(scheme: Scheme) -> str:
    """Write the time of the test as a scheme does."""
    moment = datetime.fromtimestamp(NOW / 1000, UTC)
    return {"s": str(NOW // 1000), "ms": str(NOW), "iso8601": moment.isoformat()}[scheme.timestamp_unit]


def signed(draft: Draft, scheme: Scheme, key: bytes, private: str) -> Request:
    """Sign a draft under the first scheme of its provider."""
    fields: dict[str, str] = {}
    for place in {place.place for place in scheme.placeholders()} | {scheme.timestamp, scheme.id}:
        kind, _, name = place.partition(":")
        value = timestamp(scheme) if place.lower() == scheme.timestamp.lower() else "m-1"
        if kind == "sig":
            fields[name] = value
        elif kind == "header":
            draft.put(place, value)

    def make(message: bytes) -> bytes:
        return key_pairs.sign(scheme.method, scheme.algorithm, private, message)

    return signatures.signed_request(draft.request("POST"), scheme, key, fields, make=make if private else None)


@pytest.mark.parametrize(("name", "handshake"), SHAKING, ids=[f"{name}-{item.kind}" for name, item in SHAKING])
def test_answers(tmp_path: Path, name: str, handshake: Handshake) -> None:
    """The handshake gets its answer, with its token or a digest of it, once it is signed where it has to be."""
    scheme = providers.get(name).schemes[0]
    private, key = key_pairs.generate(scheme.method) if scheme.asymmetric else ("", SECRET)
    source = make_source(tmp_path, name, "learned:secret" if handshake.learn else GIVEN, key)
    draft = draft_of(handshake)
    request = draft.request(handshake.method)
    if handshake.signed:
        with pytest.raises(RequestRejected):
            verify(request, source, NOW)
        request = signed(draft, scheme, source.keys[0][0], private)
    result = verify(request, source, NOW)
    reply = result.reply if isinstance(result, Learned) else result
    assert isinstance(reply, Reply)
    assert (reply.kind, reply.status, isinstance(result, Learned)) == (
        handshake.kind,
        handshake.status,
        handshake.learn,
    )
    texts = reply.body.decode() + str(reply.headers)
    assert not handshake.token or handshake.mac or handshake.learn or TOKEN in texts
    assert SECRET not in texts
    assert not (handshake.signed and reply.rationed)


@pytest.mark.parametrize(
    ("name", "handshake"),
    [pair for pair in SHAKING if pair[1].require],
    ids=lambda value: getattr(value, "kind", value),
)
def test_what_is_required(tmp_path: Path, name: str, handshake: Handshake) -> None:
    """A handshake without the operator's constant, or with another one, is refused."""
    source = make_source(tmp_path, name)
    right = draft_of(handshake).request(handshake.method)
    for wrong in (right.query.replace("constant", "other"), right.query.replace("constant-", "x=")):
        try:
            result = verify(replace(right, query=wrong), source, NOW)
        except RequestRejected:
            continue
        assert isinstance(result, Reply)
        assert (result.status, result.body) == (handshake.otherwise_status, b"")
