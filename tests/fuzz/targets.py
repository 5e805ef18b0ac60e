"""What is fuzzed: a source for every provider and every scheme there is, each with genuine requests to it."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gateway import build, providers
from gateway.config import Config, load
from gateway.dev import key_pairs
from gateway.dev.demo_secrets import demo_secret, key_pair_method
from gateway.dev.sign import signed_sample
from gateway.model import Delivery, Request
from gateway.scheme import Scheme
from gateway.sources import Source
from gateway.template import Placeholder
from gateway.verify import verify

PUBLIC_URL = "https://hooks.example.com"
HEAD = f"""
[server]
port = {{port}}
public_url = "{PUBLIC_URL}"
[admin]
port = 0
[event_api]
url = "http://127.0.0.1:9"
"""
# What no provider of the catalogue uses of the language.
OWN = """
[sources.own]
provider = "hmac"
secrets = ["${OWN_SECRET}"]
[sources.own.signature]
header = "X-Own-Signature"
signed = "{method|lower}:{header:X-Own-Topic|upper}:{timestamp}[[:{query:page}]]:{body|json_string}"
timestamp = "header:X-Own-Timestamp"
[sources.own.delivery]
id = "json:/id"
type = "{json:/kind}.{json:/action?}"
time = "header:X-Own-Timestamp"
"""


@dataclass(frozen=True)
class Target:
    """One source with one scheme, requests that are genuine, and where the values are that it calls authenticated.

    `replays` tells whether what is taken without being genuine can only be a re-send of what is, which is `known`.
    """

    source: Source
    scheme: Scheme
    covers_body: bool
    covers_url: bool
    replays: bool
    places: tuple[str, ...]
    genuine: tuple[Request, ...]
    known: tuple[Delivery, ...]


@dataclass(frozen=True)
class Hall:
    """The configuration with every source, and the port, environment and private keys that belong to it."""

    path: Path
    port: int
    environ: Mapping[str, str]
    private: Mapping[str, str]


def arrange(folder: Path) -> Hall:
    """Write a gateway.toml with a source for every provider, with fresh secrets."""
    environ, private = {"INNGEST_EVENT_KEY": "k", "OWN_SECRET": "own-secret-own-secret-own"}, {}
    port = free_port()
    blocks = [HEAD.format(port=port), OWN]
    for number, name in enumerate(name for name in providers.names() if name != "hmac"):
        variable = f"SECRET_{number}"
        if method := key_pair_method(name):
            private[name], environ[variable] = key_pairs.generate(method)
        else:
            environ[variable] = demo_secret(name)
        blocks.append(f'[sources.{name}]\nprovider = "{name}"\nsecrets = ["${{{variable}}}"]')
        if params := providers.get(name).params:
            blocks.append(f"[sources.{name}.params]")
            blocks += [f"{param} = {json.dumps(f'param-{number}')}" for param in params]
    path = folder / "gateway.toml"
    path.write_text("\n".join(blocks))
    return Hall(path, port, environ, private)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def targets(hall: Hall, now: int, rng: random.Random) -> list[Target]:
    """Return a target for every scheme of every source, with requests as signed `now` (unix milliseconds)."""
    config = load(hall.path, hall.environ)
    sources = build.sources(config)
    return [target for name, source in sources.items() for target in _of_source(hall, config, source, name, now, rng)]


def _of_source(hall: Hall, config: Config, source: Source, name: str, now: int, rng: random.Random) -> Iterator[Target]:
    for scheme, keys in zip(source.schemes, source.keys, strict=True):
        if not any(keys):
            continue
        single = replace(source, schemes=(scheme,), keys=(keys,))
        url = f"{PUBLIC_URL}{source.path}"
        genuine = []
        for _ in range(3):
            made = signed_sample(
                single, config.sources[name], url=url, now=now, rng=rng, private_key=hall.private.get(name, "")
            )
            full = f"{url}?{made.query}" if made.query else url
            genuine.append(Request("POST", source.path, made.query, made.headers, made.body, now, full))
        checked = source.provider.check is not None
        places = ("json:/id",) if checked else tuple(_authenticated(source, scheme))
        signs_url = bool(scheme.url_claim) or any(place.kind == "url" for place in scheme.placeholders())
        covers_body = checked or (scheme.covers_body and _says_where_the_body_ends(scheme))
        whole_form = any(place.kind.startswith("form_") for place in scheme.placeholders())
        replays = (scheme.covers_body or whole_form) and source.equal_bodies == "same" and not checked
        taken = [verify(request, single, now) for request in genuine]
        known = tuple(delivery for delivery in taken if isinstance(delivery, Delivery))
        yield Target(single, scheme, covers_body, signs_url and not checked, replays, places, tuple(genuine), known)


def _says_where_the_body_ends(scheme: Scheme) -> bool:
    """Tell whether no value of a free form stands beside the body in what is signed, into which its end could move."""
    edges = ["", *scheme.parts, ""]
    beside = [
        part
        for before, at, after in zip(edges, edges[1:], edges[2:], strict=False)
        if isinstance(at, Placeholder) and at.kind == "body"
        for part in (before, after)
        if isinstance(part, Placeholder)
    ]
    return all(part.kind in {"timestamp", "secret", "param", "url"} for part in beside)


def _authenticated(source: Source, scheme: Scheme) -> Iterator[str]:
    """Yield the places of facts and of signed values that the scheme says it authenticates."""
    provider = source.provider
    used = [f"{place.kind}:{place.name}" for place in scheme.placeholders()]
    located = [*provider.id, *provider.type, *provider.time, *provider.version, scheme.timestamp, scheme.id, *used]
    for text in dict.fromkeys(located):
        known = text.startswith(("header:", "json:/", "form:", "query:", "{"))
        if known and "sig:" not in text and scheme.authenticates(text):
            yield text
