"""The tables of gateway.toml that say how a sender signs and where a request tells what it is."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from gateway.config.table import Table
from gateway.config.values import Locators
from gateway.scheme import Algorithm, Encoding, Method, Scheme, SecretEncoding, TimestampUnit

DAY_SECONDS = 86_400

Texts = tuple[str, ...]


class SignatureConfig(Table):
    """How the sender signs, for provider = "hmac" only; docs/signatures.md explains every key.

    Of several [[sources.<name>.signature]] the first that finds a signature in the request decides.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["header"]},
                {"required": ["at"]},
                {"required": ["method"], "properties": {"method": {"const": "basic"}}},
            ]
        }
    )

    method: Method = Field("hmac", description="What kind of proof it is.")
    header: str = Field("", description="The header that carries the signature.")
    also: Texts = Field((), strict=False, description="Other headers that may carry it; any may match.")
    numbered: int = Field(0, ge=0, le=100, description="How many headers <header>-1, <header>-2 ... may carry it.")
    at: str = Field("", description="Where it is instead of a header: json:/<pointer>, form:<field> or query:<name>.")
    algorithm: Algorithm = Field("sha256", description="The hash; sha1 and md5 are weak.")
    encoding: Encoding = Field("hex", description="How the signature is written.")
    prefix: str = Field("", description='What stands before the signature, such as "sha256=".')
    separator: str = Field("", description="What separates the items of the value, where it has several.")
    assign: str = Field("", description="What separates an item's key from its value, where items have keys.")
    key: str = Field("", description="The key under which the items are signatures; it belongs to assign.")
    trim: bool = Field(default=False, description="Whether blanks around an item are dropped.")
    positional: Texts = Field((), strict=False, description="Names of the leading items, which are {sig:<name>}.")
    signed: str = Field("{body}", description="The signed content: text with placeholders.")
    timestamp: str = Field("", description="Where the signed time is: a locator, such as header:<name> or sig:<key>.")
    timestamp_unit: TimestampUnit = Field("s", description="How the signed time is written.")
    tolerance_seconds: int = Field(
        300, ge=0, le=DAY_SECONDS, description="How old a signed time may be; 0 does not enforce it."
    )
    future_tolerance_seconds: int | None = Field(
        None, ge=0, le=DAY_SECONDS, description="How far ahead a signed time may be; tolerance_seconds where absent."
    )
    id: str = Field("", description="Where the delivery id that is {id} in signed is: a locator.")
    require: tuple[Annotated[tuple[str, str], Field(strict=False)], ...] = Field(
        (), strict=False, description="Pairs of templates that must be equal."
    )
    secret_encoding: SecretEncoding = Field("utf8", description="How the key is written in the secret.")
    secret_prefix: str = Field("", description='What is taken off the secret before it is decoded, such as "whsec_".')
    secret_otherwise: Literal["", "utf8"] = Field("", description="How a secret without secret_prefix is written.")
    secret_hash: Literal["", "sha1", "sha256"] = Field("", description="The hash of the secret that is the key.")
    secret_suffix: str = Field("", description="What is put after the secret.")
    secret_normalize: Literal["", "NFKD"] = Field("", description="The Unicode form the secret is brought into.")
    each: str = Field("", description="The array whose items are signed one by one: json:/<pointer>.")
    signed_encoding: Literal["wire", "decoded"] = Field(
        "wire", description="Whether {body} is as sent, or after its Content-Encoding."
    )
    claim: str = Field("", description="The token's claim that holds the SHA-256 of the body, for jwt-hs256.")
    url_claim: str = Field("", description="The token's claim that holds the SHA-256 of the URL, for jwt-hs256.")

    def scheme(self) -> Scheme:
        """Return the signature scheme that the table describes."""
        return Scheme(**{name: getattr(self, name) for name in type(self).model_fields})

    @model_validator(mode="after")
    def _is_a_scheme(self) -> Self:
        try:
            self.scheme()
        except ValueError as error:
            raise ValueError(f"{error}; correct that key") from error
        return self


class DeliveryConfig(Table):
    """Where requests tell id, type, time and version; for provider = "hmac" only.

    Each is header:<name>, json:/<pointer>, form:<field>, query:<name> or sig:<key>, a text of them in braces, or a
    list of these, of which the first present wins.
    """

    id: Locators = Field((), description="The delivery id; absent, it is the SHA-256 of the body.")
    type: Locators = Field((), description="The event type.")
    time: Locators = Field((), description="The sender's time of the fact.")
    version: Locators = Field((), description="The version of the payload's schema.")
    equal_bodies: Literal["same", "distinct"] | None = Field(
        None,
        description="Whether equal bodies are one delivery sent again; distinct where the sender repeats a body for "
        "different facts. The provider's where absent, and that is same for hmac.",
    )
