"""The providers the gateway knows by name. To add one, write its file and list it here."""

from gateway.providers import github, hmac, shopify, slack, standard_webhooks, stripe
from gateway.providers.contract import Facts, Provider

PROVIDERS: dict[str, Provider] = {
    module.PROVIDER.name: module.PROVIDER for module in (stripe, slack, github, shopify, standard_webhooks, hmac)
}

__all__ = ["PROVIDERS", "Facts", "Provider"]
