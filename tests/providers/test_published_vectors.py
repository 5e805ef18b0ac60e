"""What the catalogue says of a provider gives its published vectors the verdicts that the vendor gives them."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway import build
from gateway.config import load
from gateway.errors import ConfigError
from gateway.model import Delivery, Request
from gateway.rejections import BodyMalformed, RequestRejected
from gateway.verify import verify

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "signatures.json").read_text())
PROVIDERS = {
    "Adyen (standard notification item)": "adyen",
    "Bitbucket Cloud": "bitbucket",
    "Box": "box",
    "CircleCI": "circleci",
    "Coinbase Commerce": "coinbase-commerce",
    "Cronofy": "cronofy",
    "Discord": "discord",
    "Dropbox Sign": "dropbox-sign",
    "Finch": "finch",
    "Fintoc": "fintoc",
    "GitHub": "github",
    "GitHub (legacy X-Hub-Signature) / WebSub": "github-sha1",
    "Hook0 / Coinbase CDP": "hook0",
    "HubSpot v3": "hubspot",
    "Kontent.ai": "kontent-ai",
    "LINE": "line",
    "Lithic": "lithic",
    "MessageBird (legacy signed request)": "messagebird-legacy",
    "Modern Treasury": "modern-treasury",
    "Onfido": "onfido",
    "OpenAI": "openai",
    "Orb": "orb",
    "Paddle": "paddle",
    "Plivo V2": "plivo-v2",
    "Razorpay": "razorpay",
    "Retell AI": "retell",
    "Sanity": "sanity",
    "SendGrid": "sendgrid",
    "Sinch (SMS/Conversation)": "sinch",
    "Sinch Numbers": "sinch-numbers",
    "Slack": "slack",
    "Square": "square",
    "Standard Webhooks": "standard-webhooks",
    "Svix": "svix",
    "Twilio": "twilio",
    "Twilio (JSON body)": "twilio-json",
    "Viber": "viber",
    "Vonage signed SMS webhook": "vonage-sms",
    "Wise": "wise",
}
# The catalogue's Vonage is the HMAC with SHA-256; the account may have chosen another algorithm.
OTHERS = {"vonage-sms-md5-3", "vonage-sms-md5-2"}
MINE = [vector for vector in VECTORS if vector["sender"] in PROVIDERS and vector["id"] not in OTHERS]
# The moments of vectors whose vendor gives no clock, because its own check enforces no window.
CLOCKS = {
    "Discord": 1_610_000_000,
    "Dropbox Sign": 1_348_177_752,
    "MessageBird (legacy signed request)": 1_547_198_231,
    "Paddle": 1_696_195_954,
    "SendGrid": 1_600_112_502,
    "Vonage signed SMS webhook": 1_234_567_890,
}
NOW = 1_700_000_000


def body(vector: dict[str, Any]) -> bytes:
    """Return the body; an item of Adyen comes in a batch of one."""
    text = vector["body"]
    if vector["sender"].startswith("Adyen"):
        text = json.dumps({"notificationItems": [{"NotificationRequestItem": json.loads(text)}]})
    return str(text).encode()


def verdict(vector: dict[str, Any], folder: Path) -> str:
    """Tell whether a gateway with this provider and these secrets takes the vector's request."""
    now = (vector["clock"] or CLOCKS.get(vector["sender"], NOW)) * 1000
    headers = tuple((name.lower(), value) for name, value in vector["headers"])
    query = vector["url"].partition("?")[2]
    request = Request(vector["method"], "/webhooks/x", query, headers, body(vector), now, vector["url"])
    names = [f"SECRET_{number}" for number in range(len(vector["secrets"]))]
    references = json.dumps([f"${{{name}}}" for name in names])
    path = folder / "gateway.toml"
    path.write_text(f'[server]\npublic_url = "https://hooks.example.com"\n[sources.x]\nsecrets = {references}\n'
                    f'provider = "{PROVIDERS[vector["sender"]]}"\n')  # fmt: skip
    environ = {"INNGEST_EVENT_KEY": "k", **dict(zip(names, vector["secrets"], strict=True))}
    try:
        return "valid" if isinstance(verify(request, build.sources(load(path, environ))["x"], now), Delivery) else ""
    except BodyMalformed:
        return "valid"  # vendors also sign what is not their payload, which is found out after the signature
    except (RequestRejected, ConfigError):
        return "invalid"


@pytest.mark.parametrize("vector", MINE, ids=[vector["id"] for vector in MINE])
def test_a_published_vector(vector: dict[str, Any], tmp_path: Path) -> None:
    """A user who writes the provider's name and the vector's secret gets the vendor's verdict."""
    assert verdict(vector, tmp_path) == vector["expected"]


def test_there_are_vectors_of_every_provider_named() -> None:
    """No name of the table is without a genuine vector, so a wrong name cannot pass for a verdict."""
    genuine = {vector["sender"] for vector in MINE if vector["expected"] == "valid"}
    assert genuine == set(PROVIDERS)
