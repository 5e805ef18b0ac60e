"""Write the pages of docs/providers: one for each provider, made of what the catalogue says, and an index.

`python -m gateway.dev.provider_pages <folder>` replaces the pages of a folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from gateway import providers
from gateway.dev import samples
from gateway.providers import Provider, words
from gateway.providers.setup import Setup, setup

_INDEX_HEAD = """\
# Providers

{count} providers are known by name: `provider = "<name>"` and a secret is all that a source needs. Any other sender
that signs is `provider = "hmac"`, and [docs/signatures.md](../signatures.md) has the keys that say how.
`gateway providers --search <text>` finds one of these, `gateway providers <name>` explains it, and `gateway init`
writes the configuration. `make docs` writes these pages from the [catalogue](../../gateway/providers/catalogue).
"""


def pages() -> dict[str, str]:
    """Return the text of every page by its file name."""
    known = [providers.get(name) for name in providers.names() if name != "hmac"]
    return {"README.md": _index(known), **{f"{provider.name}.md": page(provider) for provider in known}}


def page(provider: Provider) -> str:
    """Return a provider's page."""
    guide = setup(provider, provider.name)
    sections = [
        f"# {provider.title}",
        _lead(provider),
        f"## Set it up\n\n{_steps(provider, guide)}",
        f"## How requests are verified\n\n{_verification(provider)}",
        f"## Events\n\n{_table([*words.events(provider), *_example(provider)])}",
        *([f"## Handshakes\n\n{_handshakes(provider)}"] if provider.handshakes or provider.handshake else []),
        f"## Re-sends and answers\n\n{_resends(provider)}",
        *([f"## Known traps\n\n{_bullets(provider.notes)}"] if provider.notes else []),
        f"## Sources\n\n{_sources(provider)}",
    ]
    return "\n\n".join(sections) + "\n"


def _lead(provider: Provider) -> str:
    docs = f" [Its documentation]({provider.docs})." if provider.docs else ""
    return f'`provider = "{provider.name}"`. {words.in_short(provider.schemes[0])}{docs}'


def _steps(provider: Provider, guide: Setup) -> str:
    """Return numbered steps; a URL that is tested when it is registered is registered last."""
    register = [_ended(f"Register `https://<your host>/webhooks/{provider.name}` at: {provider.register_at}")]
    params = [_ended(f"`{name}`: {where}") for name, where in provider.params.items()]
    secret = [_ended(f"The secret: {provider.secret_at}"), *params]
    configure = [f"Configure the source:\n\n{_indented(guide.toml, '   ')}"]
    if guide.needs_public_url:
        configure[0] += "\n\n   and `public_url` under `[server]`, the beginning of the URL that you register."
    trial = [f"Try it: {_trial(provider)}"]
    if provider.handshakes or provider.handshake:
        tested = f"{register[0]} The URL is tested at once, so let the gateway serve before."
        steps = [*secret, *configure, *trial, tested]
    else:
        steps = [*register, *secret, *configure, *trial]
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def _trial(provider: Provider) -> str:
    kind = samples.types(provider.name)
    named = f" {kind[0]}" if kind else ""
    if provider.schemes[0].asymmetric:
        return (
            f"`gateway send {provider.name} --new-key key.pem` makes a key pair for samples, and with its public key "
            f"as the secret `gateway send {provider.name}{named} --private-key key.pem` sends a signed sample."
        )
    return f"`gateway send {provider.name}{named}` sends a signed sample to a gateway that runs on this machine."


def _verification(provider: Provider) -> str:
    if len(provider.schemes) == 1:
        return _bullets(words.verification(provider.schemes[0]))
    parts = ["Of these the first that finds a signature in the request decides:"]
    parts += [f"{number}. {' '.join(words.verification(scheme))}" for number, scheme in enumerate(provider.schemes, 1)]
    return "\n\n".join([parts[0], "\n".join(parts[1:])])


def _example(provider: Provider) -> list[tuple[str, str]]:
    """Return an event's name, where the sample's type is all that it is made of."""
    kinds = samples.types(provider.name) if provider.transform.startswith(words.GENERIC) and provider.type else []
    return [("For example", f"`{provider.prefix or provider.name}/{kind.replace('/', '.')}`") for kind in kinds[:1]]


def _handshakes(provider: Provider) -> str:
    lines = []
    for handshake in provider.handshakes:
        moment = "after its signature is checked" if handshake.signed else "before there is a signature to check"
        learned = "; its token becomes the source's secret" if handshake.learn else ""
        lines.append(f"`{handshake.kind}` ({handshake.method}) is answered {moment}{learned}.")
    if provider.handshake:
        lines.append("The provider's challenge is answered after its signature is checked.")
    return _bullets(lines)


def _resends(provider: Provider) -> str:
    answer = words.answers(provider)
    lines = [words.sends_again(provider), words.absorbed(provider)]
    if answer:
        lines.append(f"An accepted delivery is answered {answer}, as this provider expects.")
    if provider.answer_seconds:
        lines.append(f"It waits {provider.answer_seconds:g} seconds for the answer.")
    lines.append(f"Bodies of up to {_size(provider.body_limit)} are taken, unless the source sets `body_limit_bytes`.")
    return _bullets(lines)


def _sources(provider: Provider) -> str:
    confidence = f"Confidence in the signature scheme: {words.CONFIDENCE[provider.confidence]}."
    return f"{confidence} It was read from:\n\n{_bullets(provider.read_from)}"


def _index(known: Iterable[Provider]) -> str:
    listed = sorted(known, key=lambda provider: (provider.title.casefold(), provider.name))
    parts = [_INDEX_HEAD.format(count=len(listed))]
    for letter, group in groupby(listed, key=_letter):
        parts.append(f"## {letter}\n")
        parts.append("| provider | name | proof | sends again for | confidence |\n| --- | --- | --- | --- | --- |")
        parts += [_row(provider) for provider in group]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _letter(provider: Provider) -> str:
    return provider.title[0].upper() if provider.title[0].isalpha() else "0-9"


def _row(provider: Provider) -> str:
    hours = provider.retries.horizon_hours
    again = "" if hours is None else words.duration(hours) if hours else "never"
    link = f"[{provider.title}]({provider.name}.md)"
    return f"| {link} | `{provider.name}` | {words.proof(provider.schemes[0])} | {again} | {provider.confidence} |"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        ["| | |", "| --- | --- |", *(f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in rows)]
    )


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _indented(text: str, indent: str) -> str:
    return "\n".join(f"{indent}{line}".rstrip() for line in ("```toml", *text.rstrip().split("\n"), "```"))


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _size(count: int) -> str:
    for size, unit in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if count >= size:
            return f"{count / size:g} {unit}"
    return f"{count} bytes"


def write(folder: Path) -> None:
    """Replace the pages in a folder, and remove those of providers that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for path in folder.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
