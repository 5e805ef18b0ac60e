"""Make an event's name of what a sender calls its events, whatever text that is. Pure."""

from __future__ import annotations

UNNAMED = "webhook.received"
# The event API takes 255 characters, of which a prefix and its slash may be 129.
MAX_LENGTH = 126


def event_name(*parts: str) -> str:
    """Return the parts that are not empty, joined by dots, as a name without a prefix that the event API takes.

    The sender's spelling is kept. A slash becomes a dot, since the sender chooses the text and a slash would stand for
    another prefix; what cannot be printed becomes an underscore, a run of blanks one blank, and what is too long is
    cut. With nothing to name it by, an event is a `webhook.received`.
    """
    joined = ".".join(text for part in parts if (text := " ".join(part.split())))
    return "".join(_fit(char) for char in joined[:MAX_LENGTH]) or UNNAMED


def _fit(char: str) -> str:
    if char == "/":
        return "."
    return char if char.isprintable() else "_"
