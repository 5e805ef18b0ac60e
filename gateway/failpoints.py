"""Named points at which the process can be made to die, to prove that nothing is lost there.

The environment variable GATEWAY_FAILPOINTS arms them: `after_commit=kill`, `before_settle=exit@3` for the third pass,
several separated by commas. Unarmed, a point costs one look into an empty dict. The points:

    in_migration_<n>    the step that makes schema n is done and not committed
    before_commit       the writer has run a group of operations and not committed it
    after_commit        it is committed, and no waiter knows
    before_answer       a delivery is durable, and its provider is not answered
    before_settle       the event API has accepted a batch, and its entries are not settled
    in_checkpoint       the writer is about to move the WAL into the database
    in_prune            retention has deleted bodies and not their ids

`kill` is SIGKILL, `exit` ends without any clean-up, `cut` is SIGKILL within a few milliseconds from another thread,
so that it falls into the call that comes next.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

VARIABLE = "GATEWAY_FAILPOINTS"
NAMES = frozenset({"before_commit", "after_commit", "before_answer", "before_settle", "in_checkpoint", "in_prune"})
EXIT_CODE = 70
CUT_WITHIN_SECONDS = 0.004

_MIGRATION = re.compile(r"in_migration_[0-9]+")
_ARMING = re.compile(r"(?P<name>\w+)=(?P<action>kill|exit|cut)(@(?P<number>[1-9][0-9]{0,8}))?")


@dataclass(slots=True)
class _Trap:
    passes_left: int
    spring: Callable[[], None]


_armed: dict[str, _Trap] = {}


def failpoint(name: str) -> None:
    """Die here if this point is armed and it is the pass that was asked for."""
    if not _armed or (trap := _armed.get(name)) is None:
        return
    trap.passes_left -= 1
    if trap.passes_left == 0:
        trap.spring()


def arm(text: str) -> None:
    """Arm what the text says in place of what was armed before. Raises ValueError, with a sentence."""
    traps = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _ARMING.fullmatch(part)
        if match is None or not (match["name"] in NAMES or _MIGRATION.fullmatch(match["name"])):
            raise ValueError(
                f"{part!r} arms no failpoint; write <name>=<action> or <name>=<action>@<pass> with an action of kill, "
                f"exit and cut and a name of {', '.join(sorted(NAMES))} and in_migration_<n>"
            )
        traps[match["name"]] = _Trap(int(match["number"] or 1), _ACTIONS[match["action"]])
    _armed.clear()
    _armed.update(traps)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exit() -> None:
    os._exit(EXIT_CODE)


def _cut() -> None:
    threading.Timer(random.uniform(0, CUT_WITHIN_SECONDS), _kill).start()  # noqa: S311 - when to die is no secret


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "exit": _exit, "cut": _cut}

try:
    arm(os.environ.get(VARIABLE, ""))
except ValueError as error:
    sys.exit(f"{VARIABLE}: {error}")
