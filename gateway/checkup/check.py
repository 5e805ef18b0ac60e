"""One finding about the machine."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How a finding matters: OK; NOTE is worth knowing; WARNING will hurt; FAULT keeps the gateway from its work."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it stands, and a sentence that says what to do where something is to be done."""

    name: str
    level: Level
    sentence: str
