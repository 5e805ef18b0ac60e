"""`gateway admin-token`: make the token of the admin listener."""

from __future__ import annotations

import typer

from gateway import admin_token
from gateway.cli.options import JsonOption, line, write_json


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("admin-token")(make)


def make(*, json: JsonOption = False) -> None:
    """Make a token for the admin listener, and what gateway.toml keeps of it.

    The token is shown this once and kept nowhere.
    """
    token = admin_token.make()
    if json:
        write_json({"token": token, "token_hash": admin_token.digest(token)})
        return
    line("The token, for whoever asks; the gateway command takes it from $GATEWAY_ADMIN_TOKEN, or from the file that")
    line("$GATEWAY_ADMIN_TOKEN_FILE names:")
    line("")
    line(f"    {token}")
    line("")
    line("Into gateway.toml, from which the token cannot be found:")
    line("")
    line("    [admin]")
    line(f'    token_hash = "{admin_token.digest(token)}"')
