"""The `[[sources.<name>.handshake]]` tables of gateway.toml."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gateway.config.table import Table
from gateway.handshakes import TOKEN_PATTERN, Handshake, Mac

Pair = Annotated[tuple[str, str], Field(strict=False)]


class MacConfig(Table):
    """What {mac} in the answer to a handshake is."""

    signed: str = Field("{token}", description="The text whose digest it is, with {token}, {param:<name>}, {url_base}.")
    method: Literal["hmac", "hash"] = Field("hmac", description="hmac takes the source's first secret, hash none.")
    algorithm: Literal["sha256", "sha1", "sha384", "sha512"] = Field("sha256", description="The hash.")
    encoding: Literal["hex", "base64", "base64url"] = Field("hex", description="How the digest is written.")
    prefix: str = Field("", description="What stands before the digest.")


class HandshakeConfig(Table):
    """One kind of handshake and its answer; for provider = "hmac" only."""

    kind: str = Field(description="Its name in the log.")
    method: Literal["GET", "HEAD", "POST"] = Field("POST", description="The HTTP method it comes with.")
    when: dict[str, str] = Field(
        default_factory=dict, description='Locators and the texts that must be there; "" is met by any value.'
    )
    empty_body: bool = Field(default=False, description="Whether the body must be empty.")
    signed: bool = Field(default=True, description="Whether it is answered only once its signature was checked.")
    token: str = Field("", description="Where the token is that the answer holds: a locator.")
    token_pattern: str = Field(TOKEN_PATTERN, description="What the whole token must match, else it is refused.")
    require: tuple[Pair, ...] = Field((), strict=False, description="Pairs of texts that must be equal.")
    status: int = Field(200, description="The status of the answer.")
    otherwise_status: int = Field(401, description="The status of the answer where require does not hold.")
    type: str = Field("", description="The media type of the answer; text/plain or application/json where absent.")
    body: str = Field("", description="The body, with {token}, {mac}, {param:<name>}, {url} and {url_base}.")
    json_: dict[str, Any] | None = Field(None, alias="json", description="The body as JSON, its texts as in body.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers, their texts as in body.")
    mac: MacConfig | None = Field(None, description="What {mac} is.")
    learn: bool = Field(default=False, description="Whether the token becomes the source's secret.")

    def handshake(self) -> Handshake:
        """Return the handshake that the table describes."""
        values = {name.removesuffix("_"): getattr(self, name) for name in type(self).model_fields}
        mac = Mac(**self.mac.model_dump()) if self.mac else None
        return Handshake(**{**values, "mac": mac})

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        try:
            self.handshake()
        except ValueError as error:
            raise ValueError(f"{error}; correct that key") from error
        return self
