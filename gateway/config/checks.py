"""What a configuration must satisfy beyond the grammar of its keys: that its values make sense together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.client_address import is_loopback
from gateway.config.access_checks import check_enforcement, check_public_url, check_secret_entries
from gateway.config.faults import Fault
from gateway.config.handshake_checks import check_handshakes, check_learned
from gateway.config.models import SOURCE_NAME, Config
from gateway.config.secrets import Secret
from gateway.config.source import SourceConfig
from gateway.config.transforms import check_transforms, check_workers
from gateway.find_provider import find
from gateway.providers import Provider
from gateway.scheme import Scheme

_ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not listened on


def check_names(document: dict[str, Any]) -> Iterator[Fault]:
    """Find the sources of the parsed file whose names cannot be part of a URL."""
    sources = document.get("sources")
    for name in sources if isinstance(sources, dict) else ():
        if not re.fullmatch(SOURCE_NAME, name):
            yield Fault(
                ("sources", name),
                "is not a usable name; take lower-case letters, digits, - and _, beginning with a letter or digit, "
                "at most 64 of them",
            )


def check(config: Config) -> Iterator[Fault]:
    """Find the faults of a configuration whose keys are all well formed."""
    yield from _check_addresses(config)
    if not config.sources:
        sentence = "there is none, so nothing could be received; add a [sources.<name>] table with a provider"
        yield Fault(("sources",), sentence, (("sources",),))
    for name, source in config.sources.items():
        yield from _check_source(name, source, config)
    yield from check_workers(config)
    yield from _check_shared_secrets(config)
    yield from check_learned(config)


def _check_addresses(config: Config) -> Iterator[Fault]:
    server, admin = config.server, config.admin
    same_host = server.host == admin.host or {server.host, admin.host} & _ANY_ADDRESS
    if server.port and server.port == admin.port and same_host:
        involved = tuple((table, key) for table in ("server", "admin") for key in ("host", "port"))
        yield Fault(("admin", "port"), "is the port of [server] as well; choose another", involved)
    if not (is_loopback(admin.host) or admin.token_hash):
        yield Fault(
            ("admin", "token_hash"),
            f"is missing, and admin.host is {admin.host}, which other machines reach; run `gateway admin-token`, and "
            "write what it prints for here, or set admin.host to 127.0.0.1",
            (("admin", "host"), ("admin", "token_hash")),
        )


def _check_source(name: str, source: SourceConfig, config: Config) -> Iterator[Fault]:
    at = ("sources", name)
    provider = None
    try:
        provider = find(source.provider, config.path.parent)
    except ValueError as error:
        yield Fault((*at, "provider"), str(error))
    yield from _check_verification(name, source)
    yield from check_enforcement(name, source)
    yield from check_secret_entries(name, source)
    if provider:
        yield from _check_signature(name, source)
        yield from _check_params(name, source, provider)
        yield from _check_answer(name, source, provider)
        yield from check_public_url(name, source, provider, config.server.public_url)
        yield from check_handshakes(name, source, provider, source.public_url or config.server.public_url)
        for index, secret in enumerate(source.secrets):
            if secret.known and (sentence := _secret_fault(secret, source, provider)):
                yield Fault((*at, "secrets", index), sentence)
    yield from check_transforms(name, source, provider, config.path.parent)


def _check_answer(name: str, source: SourceConfig, provider: Provider) -> Iterator[Fault]:
    try:
        provider.answer(source.answer.change() if source.answer else None)
    except ValueError as error:
        yield Fault(("sources", name, "answer"), f"{error}; correct that key")


def _check_verification(name: str, source: SourceConfig) -> Iterator[Fault]:
    secrets, verify = ("sources", name, "secrets"), ("sources", name, "verify")
    if source.verify == "none" and source.secrets:
        yield Fault(secrets, 'are never used, as verify = "none" checks no signature; remove one of the two', (verify,))
    if source.verify == "signature" and not source.secrets:
        variable = "WEBHOOK_SECRET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
        yield Fault(
            secrets,
            f'are missing; add secrets = ["${{{variable}}}"], or verify = "none" to take requests of anyone',
            (secrets, verify),
        )


def _check_signature(name: str, source: SourceConfig) -> Iterator[Fault]:
    at = ("sources", name)
    if source.provider != "hmac":
        for key in ("signature", "delivery", "handshake"):
            if getattr(source, key):
                yield Fault(
                    (*at, key), f'is fixed for provider = "{source.provider}"; remove it, or set provider = "hmac"'
                )
    elif source.verify == "signature" and not source.signature:
        sentence = f'is missing, and provider = "hmac" needs it; add [sources.{name}.signature] with its header'
        yield Fault((*at, "signature"), sentence, ((*at, "signature"), (*at, "verify")))


def _secret_fault(secret: Secret, source: SourceConfig, provider: Provider) -> str | None:
    """Say why a secret cannot be one of its provider, without any of it."""
    if provider.secret_fault and (sentence := provider.secret_fault(secret.reveal())):
        return sentence
    faults = []
    for scheme in _schemes(source, provider):
        try:
            scheme.decode_key(secret.reveal())
        except ValueError as error:
            faults.append(f"{error}; copy it unchanged from {provider.secret_at}")
        else:
            return None
    return faults[0] if faults else None


def _schemes(source: SourceConfig, provider: Provider) -> tuple[Scheme, ...]:
    return tuple(table.scheme() for table in source.signature) or provider.schemes


def _check_params(name: str, source: SourceConfig, provider: Provider) -> Iterator[Fault]:
    at = ("sources", name, "params")
    wanted = {param for scheme in _schemes(source, provider) for param in scheme.params}
    for param in sorted(wanted - {key for key, value in source.params.items() if value}):
        where = provider.params.get(param, "the sender's webhook settings")
        sentence = f'has no {param}, which the signature needs; add {param} = "..." there, from {where}'
        yield Fault(at, sentence, (at, ("sources", name, "signature")))


def _check_shared_secrets(config: Config) -> Iterator[Fault]:
    """Find secrets under which a request signed for one protocol could be made to pass for one of another."""
    first: dict[Secret, tuple[str, str, tuple[Scheme, ...]]] = {}
    for name, source in config.sources.items():
        if not _is_known(source, config):
            continue
        for index, secret in enumerate(source.secrets):
            if not secret.known:
                continue
            schemes = tuple(table.scheme() for table in source.signature)
            other, provider, signed = first.setdefault(secret, (name, source.provider, schemes))
            if (provider, signed) != (source.provider, schemes):
                what = "signature is another" if provider == source.provider else "provider is another"
                yield Fault(
                    ("sources", name, "secrets", index),
                    f"is the secret of source {other} too, whose {what}, so that requests to one could be passed off "
                    "as requests to the other; give each its own",
                )


def _is_known(source: SourceConfig, config: Config) -> bool:
    try:
        find(source.provider, config.path.parent)
    except ValueError:
        return False
    return True
