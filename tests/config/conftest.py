"""A configuration is a file: these fixtures write one into a folder of its own and load it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from gateway.config import Config, load
from gateway.errors import ConfigError

ENVIRON = {"INNGEST_EVENT_KEY": "an-event-key", "SECRET": "a-signing-secret", "STRIPE": "whsec_a-signing-secret"}


@pytest.fixture(autouse=True)
def forget_transforms(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back what loading a transform does to the process: the folder it is found in, and its modules."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_transforms"]:
        del sys.modules[name]


@pytest.fixture
def load_text(tmp_path: Path) -> Callable[..., Config]:
    """Return a function that loads a file of the given text, under an environment with an event key and secrets."""

    def load_text(text: str, environ: Mapping[str, str] = ENVIRON) -> Config:
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return load(path, environ)

    return load_text


@pytest.fixture
def faults(tmp_path: Path, load_text: Callable[..., Config]) -> Callable[..., list[str]]:
    """Return a function that gives the faults of a text, with the folder of the file taken off."""

    def faults(text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, environ)
        return [fault.replace(f"{tmp_path}/", "") for fault in caught.value.faults]

    return faults
