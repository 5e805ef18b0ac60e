"""The URL of an inbox on a command line, as gateway.toml would have it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import ValidationError

from gateway.config.faults import describe
from gateway.config.models import Config, InboxConfig
from gateway.config.secrets import Surroundings
from gateway.errors import ConfigError


def with_inbox(config: Config, url: str, option: str, environ: Mapping[str, str] = os.environ) -> Config:
    """Return a configuration with another inbox; `option` is where its URL was given.

    Raises ConfigError where the URL names none, or holds a password that is no reference.
    """
    table = {"url": url}
    try:
        named = InboxConfig.model_validate(table, context=Surroundings(config.path, environ))
    except ValidationError as error:
        raise ConfigError([f"{option}: {fault.sentence}" for fault in describe(error, table)]) from None
    return config.model_copy(update={"inbox": config.inbox.model_copy(update={"url": named.url})})
