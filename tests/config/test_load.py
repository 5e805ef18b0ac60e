from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import (
    Config,
    DeliveryConfig,
    EventApiConfig,
    Secret,
    ServerConfig,
    SignatureConfig,
    SourceConfig,
    default_path,
    load,
)
from gateway.errors import ConfigError
from gateway.scheme import Scheme

LoadText = Callable[..., Config]

EXAMPLE = """
[server]
host = "127.0.0.1"
port = 8080
public_url = "https://hooks.example.com"

[admin]
host = "127.0.0.1"
port = 8081

[event_api]
url = "https://inn.gs"
key = "${INNGEST_EVENT_KEY}"
env = "feature/my-branch"
max_request_bytes = 524288
max_event_bytes = 524288
max_batch_events = 1000
timeout_seconds = 30

[inbox]
url = "sqlite:inbox.db"
dedupe_window_days = 7
retention_days = 7

[sources.stripe]
provider = "stripe"
secrets = ["${STRIPE_WEBHOOK_SECRET}"]

[sources.slack]
provider = "slack"
secrets = ["${SLACK_SIGNING_SECRET}"]

[sources.acme]
provider = "hmac"
secrets = ["${ACME_SECRET}"]
prefix = "acme"
transform = "my_transforms.acme:transform"
[sources.acme.signature]
header = "X-Acme-Signature"
algorithm = "sha256"
encoding = "hex"
prefix = "sha256="
signed = "{timestamp}.{body}"
timestamp = "header:X-Acme-Timestamp"
tolerance_seconds = 300
[sources.acme.delivery]
id = "header:X-Acme-Delivery"
type = "json:/type"
time = "json:/created_at"
"""

EXAMPLE_ENVIRON = {
    "INNGEST_EVENT_KEY": "an-event-key",
    "STRIPE_WEBHOOK_SECRET": "whsec_one",
    "SLACK_SIGNING_SECRET": "two",
    "ACME_SECRET": "three",
}

GITHUB = """
[sources.github]
provider = "github"
secrets = ["${SECRET}"]
"""


def test_the_documented_example(load_text: LoadText, tmp_path: Path) -> None:
    """The example of the documentation is read into exactly the settings it states."""
    folder = tmp_path / "my_transforms"
    folder.mkdir()
    (folder / "acme.py").write_text("def transform(delivery):\n    return None\n")
    config = load_text(EXAMPLE, EXAMPLE_ENVIRON)
    assert config.server == ServerConfig(public_url="https://hooks.example.com")
    assert (config.admin.host, config.admin.port) == ("127.0.0.1", 8081)
    assert config.event_api == EventApiConfig(key=Secret("an-event-key"), env="feature/my-branch")
    assert (config.inbox.dedupe_window_days, config.inbox.retention_days) == (7, 7)
    assert config.sources == {
        "stripe": SourceConfig(provider="stripe", secrets=(Secret("whsec_one"),)),
        "slack": SourceConfig(provider="slack", secrets=(Secret("two"),)),
        "acme": SourceConfig(
            provider="hmac",
            secrets=(Secret("three"),),
            prefix="acme",
            transform="my_transforms.acme:transform",
            signature=(
                SignatureConfig(
                    header="X-Acme-Signature",
                    prefix="sha256=",
                    signed="{timestamp}.{body}",
                    timestamp="header:X-Acme-Timestamp",
                ),
            ),
            delivery=DeliveryConfig(id=("header:X-Acme-Delivery",), type=("json:/type",), time=("json:/created_at",)),
        ),
    }
    assert config.path == tmp_path / "gateway.toml"
    assert config.inbox_path == tmp_path / "inbox.db"


def test_a_source_alone_is_enough(load_text: LoadText) -> None:
    """Every setting but the sources has a default."""
    config = load_text(GITHUB)
    assert (config.server.host, config.server.port, config.server.public_url) == ("127.0.0.1", 8080, "")
    assert (config.server.header_timeout_seconds, config.server.body_timeout_seconds) == (10, 10)
    assert (config.event_api.max_request_bytes, config.event_api.max_event_bytes) == (524_288, 524_288)
    assert (config.event_api.max_batch_events, config.event_api.timeout_seconds) == (1_000, 30)
    assert (config.log.format, config.log.level) == ("auto", "info")
    source = config.sources["github"]
    assert (source.verify, source.prefix, source.transform, source.body_limit_bytes) == ("signature", None, None, None)
    assert (source.transform_timeout_seconds, source.metadata, source.big_integers) == (10, False, "number")


CLOUD = ("https://inn.gs", "k")
DEV = ("http://127.0.0.1:8288", "NO_EVENT_KEY_SET")
ALL_URLS = {
    "INNGEST_EVENT_API_BASE_URL": "https://one.example.com",
    "INNGEST_BASE_URL": "https://two.example.com",
    "INNGEST_DEV": "http://localhost:3",
}


@pytest.mark.parametrize(
    ("table", "environ", "expected"),
    [
        ("", {"INNGEST_EVENT_KEY": "k"}, CLOUD),
        ("", {"INNGEST_EVENT_KEY": "k", "INNGEST_DEV": "0"}, CLOUD),
        ("", {"INNGEST_EVENT_KEY": "k", "INNGEST_DEV": "False"}, CLOUD),
        ("", {"INNGEST_EVENT_KEY": "k", "INNGEST_DEV": "", "INNGEST_BASE_URL": ""}, CLOUD),
        ("", {"INNGEST_DEV": "1"}, DEV),
        ("", {"INNGEST_DEV": "TRUE", "INNGEST_EVENT_KEY": ""}, DEV),
        ('key = "${INNGEST_EVENT_KEY}"', {"INNGEST_DEV": "1"}, DEV),
        ("", {"INNGEST_DEV": "1", "INNGEST_EVENT_KEY": "k"}, (DEV[0], "k")),
        ("", {"INNGEST_DEV": "http://localhost:3/"}, ("http://localhost:3", "NO_EVENT_KEY_SET")),
        ("", ALL_URLS, ("https://one.example.com", "NO_EVENT_KEY_SET")),
        ("", {**ALL_URLS, "INNGEST_EVENT_API_BASE_URL": ""}, ("https://two.example.com", "NO_EVENT_KEY_SET")),
        ('url = "https://file.example.com"', ALL_URLS, ("https://file.example.com", "NO_EVENT_KEY_SET")),
        ('key = "${OTHER}"', {"INNGEST_EVENT_KEY": "k", "OTHER": "o"}, (CLOUD[0], "o")),
        ('key = "${OTHER}"', {"INNGEST_DEV": "1", "OTHER": "o"}, (DEV[0], "o")),
    ],
)
def test_inngest_variables(load_text: LoadText, table: str, environ: dict[str, str], expected: tuple[str, str]) -> None:
    """Inngest's variables decide URL and key where the file is silent, in the order in which its SDKs take them."""
    config = load_text(f"[event_api]\n{table}\n{GITHUB}", {"SECRET": "s", **environ})
    assert (config.event_api.url, config.event_api.key.reveal()) == expected


@pytest.mark.parametrize(
    ("table", "environ", "expected"),
    [("", {}, None), ("", {"INNGEST_ENV": "b"}, "b"), ('env = "f"', {"INNGEST_ENV": "b"}, "f"), ('env = ""', {}, "")],
)
def test_branch_environment(load_text: LoadText, table: str, environ: dict[str, str], expected: str | None) -> None:
    """INNGEST_ENV names the branch environment where the file does not."""
    config = load_text(f"[event_api]\n{table}\n{GITHUB}", {"SECRET": "s", "INNGEST_EVENT_KEY": "k", **environ})
    assert config.event_api.env == expected


def test_secret_from_a_file(load_text: LoadText, tmp_path: Path) -> None:
    """A secret's file is found from the configuration's folder or absolutely, and white space around it is dropped."""
    (tmp_path / "one").write_text("first secret\r\n")
    (tmp_path / "two").write_text("\n second\n")
    references = f'"file:one", "file:{tmp_path}/two", "${{SECRET}}"'
    config = load_text(f'[sources.github]\nprovider = "github"\nsecrets = [{references}]')
    revealed = [secret.reveal() for secret in config.sources["github"].secrets]
    assert revealed == ["first secret", "second", "a-signing-secret"]


def test_variables_within_texts(load_text: LoadText) -> None:
    """Hosts and URLs may hold ${NAME} anywhere; other texts are taken as they are."""
    text = f'[server]\nhost = "${{HOST}}"\npublic_url = "https://${{DOMAIN}}/in/"\n{GITHUB}'
    server = load_text(text, {"INNGEST_DEV": "1", "SECRET": "s", "HOST": "::1", "DOMAIN": "hooks.example.com"}).server
    assert (server.host, server.public_url) == ("::1", "https://hooks.example.com/in")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:data/inbox.db", "{folder}/data/inbox.db"),
        ("sqlite:/srv/i.db", "/srv/i.db"),
        ("sqlite:///s.db", "/s.db"),
    ],
)
def test_inbox_path(load_text: LoadText, tmp_path: Path, url: str, expected: str) -> None:
    """The inbox's file is found from the configuration's folder or absolutely."""
    config = load_text(f'[inbox]\nurl = "{url}"\n{GITHUB}')
    assert config.inbox_path == Path(expected.format(folder=tmp_path))


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8288",
        "http://127.0.0.1",
        "http://[::1]:8288",
        "http://10.1.2.3:8288",
        "http://inngest:8288",
        "http://inngest.tools.svc.cluster.local:8288/base",
        "http://host.docker.internal:8288",
        "https://events.example.com",
    ],
)
def test_plain_http_stays_inside(load_text: LoadText, url: str) -> None:
    """Plain http is taken for this machine, private addresses and names that only a private network resolves."""
    assert load_text(f'[event_api]\nurl = "{url}"\n{GITHUB}').event_api.url == url


def test_free_ports(load_text: LoadText) -> None:
    """Both listeners may ask for a free port, and each gets its own."""
    config = load_text(f"server.port = 0\nadmin.port = 0\n{GITHUB}")
    assert (config.server.port, config.admin.port) == (0, 0)


def test_unverified_source(load_text: LoadText) -> None:
    """A source may say that nothing is verified, and then needs neither secrets nor a signature."""
    source = load_text('[sources.acme]\nprovider = "hmac"\nverify = "none"').sources["acme"]
    assert (source.verify, source.secrets, source.signature) == ("none", (), ())


def test_signature_becomes_a_scheme(load_text: LoadText) -> None:
    """The keys of [sources.<name>.signature] are those of the signature scheme, defaults included."""
    text = """
    [sources.acme]
    provider = "hmac"
    secrets = ["${SECRET}"]
    delivery = {id = ["header:X-Id", "json:/id"], type = "form:type"}
    [sources.acme.signature]
    header = "X-Sig"
    also = ["X-Sig-2"]
    separator = ","
    assign = "="
    key = "v1"
    signed = "{timestamp}.{body}"
    timestamp = "sig:t"
    """
    source = load_text(text).sources["acme"]
    assert source.signature
    assert source.signature[0].scheme() == Scheme(
        header="X-Sig",
        also=("X-Sig-2",),
        separator=",",
        assign="=",
        key="v1",
        signed="{timestamp}.{body}",
        timestamp="sig:t",
    )
    assert SignatureConfig(header="X").scheme() == Scheme(header="X")
    assert source.delivery == DeliveryConfig(id=("header:X-Id", "json:/id"), type=("form:type",))


def test_byte_order_mark(load_text: LoadText) -> None:
    """A file that an editor began with a byte order mark is read like any other."""
    assert load_text("\ufeff" + GITHUB) == load_text(GITHUB)


def test_same_secret_of_one_provider(load_text: LoadText) -> None:
    """Two sources of one provider may share a secret, as with one Slack app on two URLs."""
    config = load_text(GITHUB + GITHUB.replace("sources.github", "sources.other"))
    assert config.sources["github"].secrets == config.sources["other"].secrets


def test_default_path() -> None:
    """GATEWAY_CONFIG names the file, else it is gateway.toml in the working folder."""
    assert default_path({}) == default_path({"GATEWAY_CONFIG": ""}) == Path("gateway.toml")
    assert default_path({"GATEWAY_CONFIG": "/etc/gateway/g.toml"}) == Path("/etc/gateway/g.toml")


def test_relative_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_text: LoadText) -> None:
    """Faults name the file as it was given, and the configuration knows it absolutely."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INNGEST_DEV", "1")
    monkeypatch.setenv("SECRET", "s")
    load_text(GITHUB)
    with pytest.raises(ConfigError, match=r"^other\.toml: the file does not exist"):
        load(Path("other.toml"))
    assert load(Path("gateway.toml")).path == tmp_path / "gateway.toml"
