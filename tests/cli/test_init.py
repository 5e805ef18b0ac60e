"""`gateway providers` and `gateway init`."""

import io
import tomllib
from pathlib import Path

import pytest

from gateway import providers
from gateway.dev.demo_secrets import demo_secret
from tests.cli.conftest import Cli


def test_list(cli: Cli) -> None:
    """Everyone who is known has a line, with how it proves who sends."""
    result = cli("providers")
    assert result.code == 0
    assert len(result.out.splitlines()) == len(providers.names()) + 1
    [line] = [line for line in result.out.splitlines() if line.startswith("linear ")]
    assert line.split() == ["linear", "Linear", "HMAC-SHA256", "8", "hours", "-", "high"]


def test_search(cli: Cli) -> None:
    """Only those are listed whose name or title has the text; none is exit code 1."""
    result = cli("providers", "--search", "gitlab", "--json")
    assert [found["name"] for found in result.json] == ["gitlab", "gitlab-token"]
    result = cli("providers", "--search", "no such sender")
    assert (result.code, result.out.count("\n")) == (1, 1)
    assert 'provider = "hmac" takes anyone who signs' in result.out


@pytest.mark.parametrize("name", [*providers.names()[:4], *providers.names()[4::30]])
def test_a_provider_is_explained(cli: Cli, name: str) -> None:
    """Where the URL goes, where the secret is and what to configure is told of each."""
    result = cli("providers", name)
    provider = providers.get(name)
    assert result.code == 0
    for told in (provider.title, provider.register_at, provider.secret_at, f'provider = "{name}"', *provider.notes):
        assert told.replace("`", "") in result.out.replace("`", "")


def test_explained_to_a_program(cli: Cli) -> None:
    """The same is told as JSON."""
    told = cli("providers", "tiktok-shop", "--json").json
    assert told["variables"] == {
        "TIKTOK_SHOP_WEBHOOK_SECRET": told["secret_at"],
        "TIKTOK_SHOP_APP_KEY": told["params"]["app_key"],
    }
    assert tomllib.loads(told["configuration"])["sources"]["tiktok-shop"]["provider"] == "tiktok-shop"


def test_an_unknown_provider(cli: Cli) -> None:
    """It is a sentence that names who may have been meant."""
    result = cli("providers", "git")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("git: there is no such provider; did you mean gitea, github, ")
    assert "`gateway providers` lists" in cli("init", "--provider", "no such").err


def test_init(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes a file that is whole once the variables are set that it names, and says where each URL goes."""
    names = ["linear", "stripe", "asana", "wise", "twilio", "tiktok-shop", "hmac", "linear"]
    result = cli("init", *(word for name in names for word in ("--provider", name)))
    assert (result.code, result.err) == (0, "")
    whole = tomllib.loads(Path("gateway.toml").read_text())
    assert list(whole["sources"]) == names[:-1]
    for name in names:
        assert f"https://<your host>/webhooks/{name}\n" in result.out
        assert providers.get(name).register_at in result.out
    wanted = {line.split()[0] for line in result.out.split("`gateway check`:")[1].splitlines() if line}
    assert {"INNGEST_EVENT_KEY", "GATEWAY_PUBLIC_URL", "WISE_PUBLIC_KEY", "TIKTOK_SHOP_APP_KEY"} < wanted
    for name in wanted:
        monkeypatch.setenv(name, demo_secret("wise" if name.startswith("WISE") else name.split("_")[0].lower()))
    monkeypatch.setenv("GATEWAY_PUBLIC_URL", "https://hooks.example.com")
    assert cli("check").code == 0


def test_init_with_a_url(cli: Cli) -> None:
    """The public URL is written and is the beginning of every URL to register."""
    result = cli("init", "--provider", "twilio", "--public-url", "https://hooks.example.com/")
    assert "https://hooks.example.com/webhooks/twilio" in result.out
    assert "GATEWAY_PUBLIC_URL" not in result.out + Path("gateway.toml").read_text()


def test_init_overwrites_nothing(cli: Cli) -> None:
    """A file that is there stays as it is."""
    Path("gateway.toml").write_text("# mine\n")
    result = cli("init", "--provider", "linear")
    assert (result.code, result.out) == (2, "")
    assert "gateway.toml: is there already" in result.err
    assert Path("gateway.toml").read_text() == "# mine\n"


def test_init_where_nothing_can_be_written(cli: Cli) -> None:
    """It is a sentence."""
    result = cli("init", "--provider", "linear", "--config", "nowhere/gateway.toml")
    assert result.code == 2
    assert "cannot be written (No such file or directory)" in result.err


def test_init_asks(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of names are enough: one match is taken, several are shown, none is said, and Enter ends it."""
    monkeypatch.setattr("sys.stdin", io.StringIO("linea\nhub\ngithub\nno such sender\nlinear\n\n"))
    result = cli("init")
    assert result.code == 0
    assert list(tomllib.loads(Path("gateway.toml").read_text())["sources"]) == ["linear", "github"]
    assert "  hubspot-v1: HubSpot (signature v1)\n" in result.out
    assert "which of them? Write its name" in result.out
    assert "nobody known has 'no such sender' in the name" in result.out
