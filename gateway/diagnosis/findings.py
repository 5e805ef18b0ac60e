"""What a diagnosis says: a cause of a closed list, a sentence, and what to do. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model import Request
from gateway.sources import Source


class Cause(enum.StrEnum):
    """Why a request was rejected, as far as can be told."""

    OTHER_SECRET = "secret_of_other_source"  # noqa: S105 - the name of a cause
    OTHER_SOURCE = "url_of_other_source"
    SECRET_FORM = "secret_in_other_form"  # noqa: S105 - the name of a cause
    SECRET_KIND = "secret_of_other_kind"  # noqa: S105 - the name of a cause
    SECRET_UNKNOWN = "secret_unknown"  # noqa: S105 - the name of a cause
    TEST_MODE = "test_mode"
    CONNECTED_ACCOUNT = "connected_account"
    BODY_REWRITTEN = "body_rewritten"
    BODY_DECODED = "body_decoded"
    BODY_EMPTY = "body_empty"
    BODY_LIMIT = "body_limit"
    BODY_CUT = "body_cut"
    BODY_FORMAT = "body_format"
    SIGNATURE_FORM = "signature_in_other_form"
    SIGNED_CONTENT = "signed_content"
    PUBLIC_URL = "public_url"
    CLOCK = "clock"
    TIMESTAMP_UNIT = "timestamp_unit"
    OTHER_PROVIDER = "other_provider"
    HEADERS_DROPPED = "headers_dropped"
    HEADER_REPEATED = "header_repeated"
    HEADER_ALTERED = "header_altered"
    UNSIGNED = "unsigned"
    METHOD = "method"
    URL_NAME = "url_name"
    CONFIGURATION = "configuration"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause. It is `proven` when the signature fits once the cause is undone, else it is likely.

    No sentence holds a secret, a signature or any of the body.
    """

    cause: Cause
    sentence: str
    remedy: str
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A rejected request, why it was rejected (`label`), its source and all sources; `now` is unix milliseconds."""

    request: Request
    label: str
    source: Source
    sources: Mapping[str, Source]
    now: int

    @property
    def title(self) -> str:
        """What the sentences call who sends."""
        return "the sender" if self.source.provider.name == "hmac" else self.source.provider.name

    @property
    def is_custom(self) -> bool:
        """Whether the operator wrote the scheme, so that it may be what is wrong."""
        return self.source.provider.name == "hmac"
