"""A package for a transform of one's own, as it is before anybody has edited it. Pure but for the files it reads."""

from __future__ import annotations

import re
from importlib import resources

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
MAX_NAME = 40

_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "src/{module}/__init__.py": "transform.py",
    "src/{module}/py.typed": "py.typed",
    "tests/golden/order_created.delivery.json": "order_created.delivery.json",
    "tests/golden/order_created.events.json": "order_created.events.json",
    "tests/golden/test_order.delivery.json": "test_order.delivery.json",
    "tests/golden/test_order.events.json": "test_order.events.json",
}


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a transform, of its package and of its source."""
    return len(text) <= MAX_NAME and bool(NAME.fullmatch(text))


def package(name: str, provider: str, prefix: str) -> dict[str, str]:
    """Return the package's files, by their paths with slashes; `prefix` is what its event names begin with."""
    words = {"name": name, "module": f"{name.replace('-', '_')}_transform", "provider": provider, "prefix": prefix}
    return {_fill(path, words, "{", "}"): _fill(_text(file), words, "{{", "}}") for path, file in _FILES.items()}


def _fill(text: str, words: dict[str, str], opening: str, closing: str) -> str:
    for word, value in words.items():
        text = text.replace(f"{opening}{word}{closing}", value)
    return text


def _text(file: str) -> str:
    return (resources.files(__name__) / "files" / f"{file}.txt").read_text(encoding="utf-8")
