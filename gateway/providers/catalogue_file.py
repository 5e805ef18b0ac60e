"""Read one file of the catalogue: a provider's TOML becomes a Provider, or a sentence says why not. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.answers import Change
from gateway.errors import ConfigError
from gateway.handshakes import Handshake
from gateway.locators import compile_locator
from gateway.providers.contract import MIB, Provider, Retries
from gateway.providers.tables import read
from gateway.scheme import Scheme


@dataclass(frozen=True, slots=True)
class _Delivery:
    id: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    equal_bodies: Literal["same", "distinct"] = "same"
    batch: str = ""

    def __post_init__(self) -> None:
        for locator in (*self.id, *self.type, *self.time, *self.version):
            compile_locator(locator)


@dataclass(frozen=True, slots=True)
class _Limits:
    body_bytes: int = MIB
    answer_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _File:
    """The keys of a file, in the order in which they are written."""

    title: str
    docs: str
    read_from: tuple[str, ...]
    confidence: Literal["high", "medium", "low"]
    register_at: str
    secret_at: str
    signature: tuple[Scheme, ...]
    transform: str = "transforms.generic:transform"
    prefix: str = ""
    secret_headers: tuple[str, ...] = ()
    payload_field: str = ""
    notes: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    delivery: _Delivery = field(default_factory=_Delivery)
    retries: Retries = field(default_factory=Retries)
    limits: _Limits = field(default_factory=_Limits)
    answers: Mapping[str, Change] = field(default_factory=dict)
    handshake: tuple[Handshake, ...] = ()


def parse(name: str, text: str) -> Provider:
    """Return the provider that a file describes. Raises ConfigError with a sentence that names file and key."""
    try:
        file = read(_File, tomllib.loads(text))
    except ValueError as error:
        raise ConfigError([f"catalogue/{name}.toml: {error}"]) from error
    delivery = file.delivery
    return Provider(
        name=name,
        transform=file.transform,
        register_at=file.register_at,
        secret_at=file.secret_at,
        title=file.title,
        docs=file.docs,
        read_from=file.read_from,
        confidence=file.confidence,
        notes=file.notes,
        prefix=file.prefix,
        params=file.params,
        schemes=file.signature,
        id=delivery.id,
        type=delivery.type,
        time=delivery.time,
        version=delivery.version,
        equal_bodies=delivery.equal_bodies,
        batch=delivery.batch,
        handshakes=file.handshake,
        secret_headers=tuple(header.lower() for header in file.secret_headers),
        payload_field=file.payload_field,
        retries=file.retries,
        body_limit=file.limits.body_bytes,
        answer_seconds=file.limits.answer_seconds,
        answers=file.answers,
    )
