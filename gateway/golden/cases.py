"""Which transform the golden pairs of a folder are for: the lines of pytest's option `gateway_golden`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from gateway.errors import ConfigError

DELIVERY = ".delivery.json"
EVENTS = ".events.json"
FORM = 'write "<folder> = <transform>", with prefix=<name> or network=allowed after it where needed'


@dataclass(frozen=True, slots=True)
class Cases:
    """The pairs of the folders that `pattern` matches, below `root`, and how they are tried.

    `{folder}` in the reference is the folder's name. Without a prefix, event names begin with the delivery's provider.
    """

    root: Path
    pattern: str
    reference: str
    prefix: str = ""
    network: bool = False

    def has(self, folder: Path) -> bool:
        """Tell whether a folder's pairs are among these."""
        if not folder.is_relative_to(self.root):
            return False
        return fnmatchcase(folder.relative_to(self.root).as_posix(), PurePosixPath(self.pattern).as_posix())

    def transform(self, folder: Path) -> str:
        """Return the reference of the transform for a folder."""
        return self.reference.replace("{folder}", folder.name)


def read(lines: Iterable[str], root: Path) -> list[Cases]:
    """Read the option's lines. Raises ConfigError with a sentence for each line that cannot be understood."""
    cases, faults = [], []
    for line in lines:
        folder, equals, rest = (part.strip() for part in line.partition("="))
        reference, *words = rest.split() or [""]
        settings = dict(word.partition("=")[::2] for word in words)
        if not folder or not equals or not reference or not settings.keys() <= {"prefix", "network"}:
            faults.append(f"gateway_golden: {line!r} cannot be understood; {FORM}")
        elif settings.get("network", "allowed") != "allowed":
            faults.append(
                f"gateway_golden: {line!r} says {settings['network']!r} of the network; write network=allowed"
            )
        else:
            cases.append(Cases(root, folder, reference, settings.get("prefix", ""), "network" in settings))
    if faults:
        raise ConfigError(faults)
    return cases


def recorded(events: Path) -> Path:
    """Return where the delivery of a file of events is."""
    return events.with_name(events.name.removesuffix(EVENTS) + DELIVERY)


def expected(delivery: Path) -> Path:
    """Return where the events of a recorded delivery are."""
    return delivery.with_name(delivery.name.removesuffix(DELIVERY) + EVENTS)
