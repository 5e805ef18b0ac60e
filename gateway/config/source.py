"""The table of one source, [sources.<name>]: every key with its type, bounds, default and description."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from gateway import answers, providers
from gateway.answers import Change
from gateway.config.handshakes import HandshakeConfig
from gateway.config.secret_entries import SecretEntry
from gateway.config.signature import DeliveryConfig, SignatureConfig
from gateway.config.table import Table
from gateway.config.values import (
    Networks,
    OneOrSeveral,
    PathToken,
    Prefix,
    Seconds,
    SourceUrl,
    Text,
    TransformReference,
)

GIB = 1024**3
MAX_WORKERS = 32


class AnswerConfig(Table):
    """What the provider is told where a delivery was kept, or known already; else what it expects."""

    status: int | None = Field(None, ge=200, le=299, description="The status.")
    body: str | None = Field(
        None, max_length=answers.MAX_BODY_LENGTH, description="The body; a JSON document where absent."
    )
    type: str | None = Field(None, description="The body's media type; text/plain where absent.")

    def change(self) -> Change:
        """Return what differs from the answer that everyone gets."""
        return Change(self.status, self.body, self.type)

    @model_validator(mode="after")
    def _is_an_answer(self) -> Self:
        self.change()
        return self


class SourceConfig(Table):
    """One inlet; its URL is /webhooks/<name>."""

    provider: str = Field(
        description="Who sends, and how it signs: a name of the catalogue, hmac for one that the signature table "
        'describes, or your own, "<file>.py:<NAME>".',
        json_schema_extra={"anyOf": [{"enum": [*providers.names()]}, {"pattern": r"\.py:[A-Za-z_][A-Za-z0-9_]*$"}]},
    )
    secrets: tuple[SecretEntry, ...] = Field(
        (),
        strict=False,
        description='What requests are signed with, each as "${NAME}" or "file:<path>", or as a table of value, label '
        'and not_after; any of them may match. "learned:<path>" is the file that will keep what the sender\'s first '
        "handshake gives.",
    )
    verify: Literal["signature", "none"] = Field(
        "signature", description="none takes requests of anyone, unverified; then there are no secrets."
    )
    enforce: bool = Field(
        default=True,
        description="false keeps and forwards what fails verification too, marked as unverified; for migrations.",
    )
    allow: Networks = Field((), description="The addresses or networks that may send; all of them where absent.")
    path_token: PathToken | None = Field(
        None,
        description='An unguessable last part of the URL, /webhooks/<name>/<token>, as "${NAME}" or "file:<path>".',
    )
    public_url: SourceUrl = Field(
        "",
        description="The whole URL of this inlet as registered, without the path token, where it is not "
        "server.public_url and /webhooks/<name>.",
    )
    prefix: Prefix | None = Field(None, description="What event names begin with; the provider's name where absent.")
    transform: TransformReference | None = Field(
        None,
        description='"module:function", "./file.py:function" or the name of an installed transform; the provider\'s '
        "where absent.",
    )
    transforms: dict[str, TransformReference] = Field(
        default_factory=dict,
        description="In place of transform: one for each type, or pattern of types such as invoice.*, and a default.",
    )
    transform_timeout_seconds: Seconds = Field(10.0, description="How long the transform may take for one delivery.")
    isolation: Literal["thread", "process"] = Field(
        "thread",
        description="Where transforms run: in the gateway, or in worker processes that are killed at the time limit.",
    )
    transform_workers: int = Field(
        1, ge=1, le=MAX_WORKERS, description='How many worker processes there are, for isolation = "process".'
    )
    transform_memory_mb: int = Field(
        512, ge=64, le=1_048_576, description='How much memory each worker may take, for isolation = "process".'
    )
    body_limit_bytes: int | None = Field(
        None, ge=1, le=GIB, description="The most bytes of one body; the provider's limit where absent."
    )
    metadata: bool = Field(default=False, description="Whether data._gateway tells source, delivery id and time.")
    big_integers: Literal["number", "string"] = Field(
        "number", description="How integers beyond ±2^53 are sent, which the event API rounds."
    )
    dedupe_window_days: int | None = Field(
        None,
        ge=1,
        le=90,
        description="How long re-sends of this source are absorbed; where absent, [inbox] dedupe_window_days, or "
        "longer where the provider goes on longer.",
    )
    trust_traceparent: bool = Field(
        default=False, description="Whether the sender's own trace, as its traceparent names it, is linked to."
    )
    params: dict[str, Text] = Field(
        default_factory=dict, description="Constants that the provider's scheme needs besides secrets, by name."
    )
    signature: OneOrSeveral[SignatureConfig] = Field(
        (), description="How the sender signs; of several the first that finds a signature decides."
    )
    delivery: DeliveryConfig | None = None
    handshake: tuple[HandshakeConfig, ...] = Field((), strict=False, description="The sender's handshakes, if any.")
    answer: AnswerConfig | None = None
