"""What is told of a provider, in the commands and in its page, is what its data says."""

from pathlib import Path

import pytest

from gateway import providers
from gateway.config import load
from gateway.dev import provider_pages
from gateway.dev.demo_secrets import demo_secret
from gateway.providers import Provider, words
from gateway.providers.contract import Retries
from gateway.providers.search import search
from gateway.providers.setup import setup
from gateway.scheme import Scheme

PAGES = Path(__file__).parents[2] / "docs" / "providers"


def made(**more: object) -> Provider:
    """Make a provider of which only some things are of interest."""
    whole = {"name": "acme", "title": "Acme", "transform": "", "register_at": "there", "secret_at": "here", **more}
    return Provider(**whole)  # type: ignore[arg-type]


def test_the_pages_are_those_that_the_catalogue_makes() -> None:
    """Every provider has its page as it would be written now; `make docs` mends it."""
    written = {path.name: path.read_text(encoding="utf-8") for path in PAGES.iterdir()}
    assert written == provider_pages.pages()


def test_pages_of_what_is_gone_are_removed(tmp_path: Path) -> None:
    """Writing the pages leaves no page of a provider that there is no more, and nothing else is touched."""
    for name in ("gone.md", "note.txt"):
        (tmp_path / name).write_text("old")
    provider_pages.write(tmp_path)
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {*provider_pages.pages(), "note.txt"}


@pytest.mark.parametrize("name", providers.names())
def test_a_page_reads_well(name: str) -> None:
    """No sentence ends twice, no part is empty, and nothing of Python shows through."""
    text = provider_pages.page(providers.get(name)) if name != "hmac" else provider_pages.pages()["README.md"]
    text = text.replace("...", "")
    for blemish in ("..\n", ". .", ": .", "None", "()", "\n\n\n", " \n", " ,"):
        assert blemish not in text, blemish


def test_every_configuration_that_is_shown_loads(tmp_path: Path) -> None:
    """The tables to copy, all in one file, are a configuration once their variables are set."""
    blocks = ['[server]\npublic_url = "https://hooks.example.com"\n[event_api]\nkey = "${INNGEST_EVENT_KEY}"\n']
    environ = {"INNGEST_EVENT_KEY": "k"}
    for name in providers.names():
        guide = setup(providers.get(name), name)
        blocks.append(guide.toml)
        environ |= {variable.name: demo_secret(name) for variable in guide.variables}
    path = tmp_path / "gateway.toml"
    path.write_text("\n".join(blocks))
    assert set(load(path, environ).sources) == set(providers.names())


@pytest.mark.parametrize(
    ("scheme", "told"),
    [
        (
            Scheme(header="X-Sig", prefix="sha256="),
            ["HMAC-SHA256 over the body as sent, in hex after `sha256=`, in the header `X-Sig`."],
        ),
        (
            Scheme(
                header="X-Sig",
                separator=",",
                assign="=",
                key="v1",
                signed="{timestamp}.{body}",
                timestamp="sig:t",
                tolerance_seconds=90,
                future_tolerance_seconds=10,
            ),
            [
                "HMAC-SHA256 over `{timestamp}.{body}`, in hex under `v1`, in the header `X-Sig`.",
                "The signed time is `t` beside the signature, in unix seconds; it may be 1.5 minutes old.",
            ],
        ),
        (
            Scheme(header="X-Token", method="token"),
            [
                "The secret itself stands in the header `X-Token`; it is compared in constant time.",
                "Nothing of the request is signed: who knows the secret, or has seen a request, can send any other.",
            ],
        ),
        (
            Scheme(header="X-Sig", numbered=3, also=("X-Old",), method="hash", signed="{secret}{body}"),
            [
                "keyed SHA-256 over `{secret}{body}`, in hex, in the header `X-Sig-1` to `X-Sig-3` or `X-Old`.",
            ],
        ),
        (
            Scheme(at="form:sig", signed="{url}{form:a}", require=[["{header:x-v}", "2"]]),  # type: ignore[arg-type]
            [
                "HMAC-SHA256 over `{url}{form:a}`, in hex, in the form field `sig`.",
                "`{header:x-v}` must be equal to `2`.",
                "The URL is signed, so `public_url` under `[server]` must be the beginning of what is registered.",
                "The signature covers what is named here and not the whole body.",
            ],
        ),
    ],
)
def test_how_a_scheme_is_told(scheme: Scheme, told: list[str]) -> None:
    """Each key of a scheme that decides something is in a sentence."""
    assert words.verification(scheme) == told


@pytest.mark.parametrize(
    ("retries", "told"),
    [
        (Retries(), "Whether it sends again what was refused is not known."),
        (Retries(0, checked=True), "Does not send again what was refused."),
        (Retries(72, checked=True, note="hourly"), "Sends again for 3 days: hourly."),
        (Retries(24, checked=True, note="24 hours"), "Sends again for 24 hours."),
        (Retries(0.5), "Sends again for 30 minutes. (General knowledge, not confirmed in its own text.)"),
        (Retries(1, checked=True, disables="a week"), "Sends again for 1 hour. The subscription ends after: a week."),
        (Retries(checked=True, note="until it is answered"), "Sends again: until it is answered."),
    ],
)
def test_how_retries_are_told(retries: Retries, told: str) -> None:
    """The horizon is in the unit people use, and what nobody confirmed is marked."""
    assert words.sends_again(made(retries=retries)) == told


def test_whether_an_id_is_signed_is_told() -> None:
    """An id inside a signed body is signed, one in a header beside it is not."""
    scheme = Scheme(header="X-Sig")
    inside = dict(words.events(made(schemes=(scheme,), id=("json:/id",))))
    beside = dict(words.events(made(schemes=(scheme,), id=("header:X-Id",))))
    assert inside["Delivery id"] == "`/id` in the JSON body, which is signed"
    assert beside["Delivery id"] == "the header `X-Id`, which is not signed"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("github", "github"),
        ("GitHub", "github"),
        ("lemon sq", "lemon-squeezy"),
        ("webhooks standard", "standard-webhooks"),
    ],
)
def test_search(text: str, first: str) -> None:
    """Words of the name and the title are found in any order and case, and the closest comes first."""
    assert search(text)[0].name == first


def test_search_for_nothing_finds_all_and_for_nonsense_none() -> None:
    """An empty text lists everyone."""
    assert [provider.name for provider in search(" ")] == list(providers.names())
    assert search("no such sender") == []
