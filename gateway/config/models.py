"""The tables of gateway.toml: every key with its type, bounds, default and description."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, PrivateAttr

from gateway.client_address import ForwardedHeader
from gateway.config import metrics_export
from gateway.config.secrets import Secret, SecretReference
from gateway.config.source import SourceConfig
from gateway.config.table import Table
from gateway.config.tracing import Tracing, tracing
from gateway.config.values import (
    EnvironmentName,
    EventApiUrl,
    Host,
    InboxUrl,
    Networks,
    OptionalUrl,
    Port,
    SchemaName,
    Seconds,
    TokenHash,
)

CLOUD_URL = "https://inn.gs"
DEV_EVENT_KEY = "NO_EVENT_KEY_SET"
EVENT_KEY_REFERENCE = "${INNGEST_EVENT_KEY}"
SOURCE_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"

KIB = 1024
GIB = 1024**3
DAY_SECONDS = 86_400

Texts = tuple[str, ...]


class ServerConfig(Table):
    """Where webhooks are received."""

    host: Host = Field("127.0.0.1", description="The address to listen on; 0.0.0.0 and :: are all of them.")
    port: Port = Field(8080, description="The port to listen on; 0 takes a free one.")
    public_url: OptionalUrl = Field(
        "",
        description="The URL under which providers reach this listener, for the URLs that people register "
        "and for schemes that sign the URL.",
    )
    trusted_proxies: Networks = Field(
        (), description="The proxies in front, as addresses or networks, whose word is taken about who sent a request."
    )
    forwarded_header: ForwardedHeader = Field(
        "x-forwarded-for", description="The header in which they say it; forwarded is that of RFC 7239."
    )
    header_timeout_seconds: Seconds = Field(10.0, description="How long a request's headers may take to arrive.")
    body_timeout_seconds: Seconds = Field(10.0, description="How long a request's body may take to arrive.")
    drain_seconds: float = Field(
        1.0,
        ge=0,
        le=300,
        description="How long after SIGTERM requests are still taken, while /readyz says 503 and every answer ends its "
        "connection; as long as the load balancer needs to notice.",
    )


class AdminConfig(Table):
    """Where health, metrics and inspection are served; keep it private."""

    host: Host = Field("127.0.0.1", description="The address to listen on; 0.0.0.0 and :: are all of them.")
    port: Port = Field(8081, description="The port to listen on; 0 takes a free one.")
    token_hash: TokenHash = Field(
        "",
        description="What `gateway admin-token` prints: the digest of the token that whoever asks for more than health "
        "must show; needed where host is not a loopback address.",
    )


class EventApiConfig(Table):
    """Where events are sent, and within which limits."""

    url: EventApiUrl = Field(
        CLOUD_URL,
        description="The event API, without /e/<key>. Where it is absent: INNGEST_EVENT_API_BASE_URL, "
        "INNGEST_BASE_URL, the URL in INNGEST_DEV, http://127.0.0.1:8288 if INNGEST_DEV is 1 or true.",
    )
    key: SecretReference = Field(
        Secret(DEV_EVENT_KEY),
        description='The event key, as "${NAME}" or "file:<path>". It is not needed where INNGEST_DEV is set.',
        json_schema_extra={"default": EVENT_KEY_REFERENCE},
    )
    env: EnvironmentName | None = Field(
        None, description="The branch environment, sent as x-inngest-env; INNGEST_ENV where it is absent."
    )
    max_request_bytes: int = Field(512 * KIB, ge=KIB, le=GIB, description="The most bytes of one request.")
    max_event_bytes: int = Field(512 * KIB, ge=KIB, le=GIB, description="The most bytes of one event.")
    max_batch_events: int = Field(1_000, ge=1, le=5_000, description="The most events of one request.")
    max_events_per_second: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="How many events a second are sent under this key, on average, by all gateways of one inbox.",
    )
    timeout_seconds: Seconds = Field(30.0, description="How long one request may take.")


class InboxConfig(Table):
    """Where deliveries are kept, and for how long."""

    url: InboxUrl = Field(
        "sqlite:inbox.db",
        repr=False,
        description="sqlite:<path>, relative to the folder of this file, for one gateway; or "
        "postgresql://user@host/database for several, with the password as ${NAME} or in a password file.",
    )
    dedupe_window_days: int = Field(7, ge=1, le=90, description="How long a provider's re-sends are absorbed.")
    retention_days: int = Field(7, ge=1, le=3_650, description="How long settled deliveries can be found and replayed.")
    schema_name: SchemaName = Field(
        "webhook_gateway", description="PostgreSQL alone: the schema that holds the gateway's tables."
    )
    connections: int = Field(
        8,
        ge=4,
        le=100,
        description="PostgreSQL alone: the most connections that a gateway opens, or each of its workers.",
    )
    migrate: bool = Field(
        default=True,
        description="PostgreSQL alone: whether `gateway serve` makes and upgrades the tables; else `gateway migrate`.",
    )
    local_folder: str = Field(
        ".",
        min_length=1,
        description="PostgreSQL alone: where one gateway keeps what is its own, such as samples of rejected requests; "
        "relative to the folder of this file.",
    )

    @property
    def shared(self) -> bool:
        """Whether several gateways may use it at once."""
        return self.url.startswith(("postgres:", "postgresql:"))


class LogConfig(Table):
    """What is logged, and how."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="json for programs, console for people, auto by whether a terminal is attached."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severity that is logged."
    )


class RejectionsConfig(Table):
    """What is kept of rejected requests for `gateway doctor`, in the file <inbox>.rejected and within fixed bounds."""

    keep_bodies: bool = Field(
        default=False,
        description="Whether bodies of at most 64 KiB are kept; anybody can send them, and they may hold secrets.",
    )
    keep_addresses: bool = Field(default=False, description="Whether the addresses of the peers are kept.")


class RecordConfig(Table):
    """What `gateway record` masks besides what gives itself away; docs/transforms.md."""

    mask: Texts = Field((), strict=False, description="Fields to mask: names, or paths from the top joined by dots.")
    keep: Texts = Field((), strict=False, description="Fields to keep, likewise.")
    mask_ids: bool = Field(default=False, description="Whether ids are masked too.")


class Config(Table):
    """The gateway's configuration, gateway.toml."""

    model_config = ConfigDict(json_schema_extra={"required": ["sources"]})

    server: ServerConfig = Field(default_factory=ServerConfig)
    admin: AdminConfig = Field(default_factory=AdminConfig)
    event_api: EventApiConfig = Field(default_factory=EventApiConfig)
    inbox: InboxConfig = Field(default_factory=InboxConfig)
    log: LogConfig = Field(default_factory=LogConfig)
    rejections: RejectionsConfig = Field(default_factory=RejectionsConfig)
    record: RecordConfig = Field(default_factory=RecordConfig)
    sources: dict[str, SourceConfig] = Field(
        default_factory=dict,
        description="The inlets by name, of which there is at least one; the URL of one is /webhooks/<name>.",
        json_schema_extra={"propertyNames": {"pattern": SOURCE_NAME}, "minProperties": 1},
    )

    _path: Path = PrivateAttr(default=Path("gateway.toml"))
    _metrics_interval: float | None = PrivateAttr(default=None)
    _tracing: Tracing = PrivateAttr(default=Tracing())

    def model_post_init(self, context: Any, /) -> None:
        """Remember which file this was read from, and what the environment says of telemetry."""
        if context:
            self._path = context.path.absolute()
            self._metrics_interval = metrics_export.interval(context.environ)
            self._tracing = tracing(context.environ)

    @property
    def path(self) -> Path:
        """The file this was read from, as an absolute path."""
        return self._path

    @property
    def metrics_interval(self) -> float | None:
        """Every how many seconds metrics are exported by OTLP; None where they are not."""
        return self._metrics_interval

    @property
    def tracing(self) -> Tracing:
        """Whether and how much is traced, which OpenTelemetry's own variables say."""
        return self._tracing

    @property
    def inbox_path(self) -> Path:
        """The inbox's file, as an absolute path; of one in PostgreSQL, what files beside it here are named after."""
        inbox = self.inbox
        name = f"{inbox.local_folder}/inbox" if inbox.shared else inbox.url.removeprefix("sqlite:")
        return self.path.parent.absolute() / name

    @property
    def inbox_name(self) -> str:
        """Where the inbox is, as people are told: its file, or the URL without user, password and options."""
        if not self.inbox.shared:
            return str(self.inbox_path)
        parts = urlsplit(self.inbox.url)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
