from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import load
from gateway.errors import ConfigError

Faults = Callable[..., list[str]]

GITHUB = """
[sources.github]
provider = "github"
secrets = ["${SECRET}"]
"""

HERE = Path(__file__).parent
NOT_A_URL = "is not an http:// or https:// URL; write one such as https://example.com"
PLAIN_HTTP = "would send the event key over plain http to a public host; write https:// instead of http://"
NOT_A_TABLE = "is not a table; write it as a [table] with its keys below"
KEY = {"INNGEST_EVENT_KEY": "k"}
NOT_SET = "the environment variable INNGEST_EVENT_KEY is not set; set it, or name another one"
EMPTY = "the environment variable INNGEST_EVENT_KEY is empty; put the secret there"
NOT_A_HEADER = "cannot be sent as a header; use printable ASCII without blanks at the ends"
ENVIRON = {
    "INNGEST_EVENT_KEY": "k",
    "SECRET": "a secret!",
    "OTHER": "another",
    "STRIPE": "whsec_1",
    "API_KEY": "sk_live_1",
    "SPACED": "a b",
    "EMPTY": "",
    "BLANK": " \n",
    "BYTES": "\udce9",
}


def table(name: str) -> list[tuple[str, str]]:
    """Read a table of faulty texts, each followed by a line with its fault."""
    blocks = (HERE / name).read_text().strip().split("\n\n")
    return [(text, fault) for text, _, fault in (block.rpartition("\n=> ") for block in blocks)]


@pytest.mark.parametrize(("text", "fault"), table("settings.txt"))
def test_settings(faults: Faults, text: str, fault: str) -> None:
    """A faulty setting is named with file and key, and the sentence says what to do."""
    assert faults(f"{text}\n{GITHUB}", ENVIRON) == [f"gateway.toml: {fault}"]


@pytest.mark.parametrize(("text", "fault"), table("sources.txt"))
def test_source(faults: Faults, tmp_path: Path, text: str, fault: str) -> None:
    """A faulty source is named with file and key, and the sentence says what to do."""
    (tmp_path / "folder").mkdir()
    for name, content in (("empty", b"\n"), ("latin1", b"s\xe9cret"), ("large", b"s" * 65_537)):
        (tmp_path / name).write_bytes(content)
    assert faults(text, ENVIRON) == [f"gateway.toml: {fault}"]


def test_too_much(faults: Faults) -> None:
    """A number with more digits than Python prints and a prefix longer than a name are faults like any other."""
    text = f'[server]\nport = 0x{5_000 * "f"}\n{GITHUB}prefix = "{129 * "a"}"'
    port, prefix = faults(text)
    assert port == "gateway.toml: server.port: is too large; the most is 65535"
    assert prefix.endswith("at most 128 characters")


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({}, f"event_api.key: {NOT_SET}"),
        ({"INNGEST_EVENT_KEY": ""}, f"event_api.key: {EMPTY}"),
        ({"INNGEST_DEV": "yes"}, f"event_api.url: ${{INNGEST_DEV}} {NOT_A_URL}"),
        ({**KEY, "INNGEST_BASE_URL": "http://example.com"}, f"event_api.url: ${{INNGEST_BASE_URL}} {PLAIN_HTTP}"),
        ({**KEY, "INNGEST_ENV": "a\nb"}, f"event_api.env: ${{INNGEST_ENV}} {NOT_A_HEADER}"),
    ],
)
def test_environment(faults: Faults, environ: dict[str, str], fault: str) -> None:
    """A fault of the environment names the variable, not its value."""
    assert faults(GITHUB, {"SECRET": "s", **environ}) == [f"gateway.toml: {fault}"]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a = 1\nb = = 2", "line 2, column 5: "),
        (b"a = 1\na = 2\n", "line 2, column 6: "),
        (b"a = 1\nb = [\n", "line 3: "),
        (b"a = '\xe9'", "the file is not UTF-8; save it as text in UTF-8"),
        (b"a = " + 5_000 * b"9", "a number is too long or lists are too deep; write it shorter"),
        (b"a = " + 5_000 * b"[", "a number is too long or lists are too deep; write it shorter"),
    ],
)
def test_syntax(tmp_path: Path, content: bytes, place: str) -> None:
    """A file that is not TOML is one fault, with the line where TOML tells it."""
    path = tmp_path / "gateway.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (fault,) = caught.value.faults
    assert fault.startswith(f"{path}: {place}")
    assert ";" in fault


def test_no_file(tmp_path: Path) -> None:
    """A file that does not exist or is a folder is one fault that says how to get one."""
    with pytest.raises(ConfigError, match="the file does not exist; write one, or name another"):
        load(tmp_path / "gateway.toml", {})
    with pytest.raises(ConfigError, match=r"the file cannot be read \(Is a directory\); make it a readable file"):
        load(tmp_path, {})


def test_unknown_transform(faults: Faults) -> None:
    """A transform that cannot be loaded is found before anything is served, beside the other faults."""
    text = GITHUB + 'transform = "nowhere.at_all:transform"\nprefix = 1'
    first, second = faults(text)
    assert first == "gateway.toml: sources.github.prefix: is not a text; put it in quotes"
    assert second.startswith("gateway.toml: sources.github.transform: ")
    assert "nowhere" in second


def test_all_faults_at_once(faults: Faults) -> None:
    """One run tells all faults: of grammar and of sense, of every table, and none that only follows from another."""
    text = """
    [server]
    port = "80"
    host = 1
    [admin]
    port = 8080
    [event_api]
    url = "ftp://example.com"
    key = "literal"
    [log]
    colour = true
    [sources.UPPER]
    provider = 1
    secrets = ["${NONE}", "literal"]
    [sources.a]
    provider = "stripe"
    prefix = 1
    secrets = ["${API_KEY}"]
    [sources.b]
    provider = "hmac"
    secrets = ["${API_KEY}"]
    signature = {signed = 1}
    [sources.c]
    provider = "slack"
    verify = "nothing"
    """
    found = faults(text, {"API_KEY": "sk_live_1"})
    assert [fault.split(": ")[1] for fault in found] == [
        "sources.UPPER",
        "server.host",
        "server.port",
        "event_api.url",
        "event_api.key",
        "log.colour",
        "sources.UPPER.provider",
        "sources.UPPER.secrets[0]",
        "sources.UPPER.secrets[1]",
        "sources.a.prefix",
        "sources.b.signature.signed",
        "sources.c.verify",
        "sources.a.secrets[0]",
        "sources.b.secrets[0]",
    ]
    assert all(fault.count("\n") == 0 and ("; " in fault) for fault in found)
