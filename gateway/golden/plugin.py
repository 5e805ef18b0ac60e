"""The pytest plugin: one test per golden pair of the folders that the option `gateway_golden` names.

It is loaded into every run of pytest on a machine that has the gateway, so it imports the rest only for a pair.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError, TransformError
from gateway.golden.cases import DELIVERY, EVENTS, Cases, expected, read, recorded

CASES: pytest.StashKey[list[Cases]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the command line and the one of the configuration file."""
    group = parser.getgroup("gateway", "golden pairs of transforms")
    group.addoption("--update-golden", action="store_true", help="Write the events anew, to be reviewed as a diff.")
    parser.addini("gateway_golden", "Lines of <folder> = <transform>: where golden pairs are.", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Read the option's lines."""
    try:
        config.stash[CASES] = read(config.getini("gateway_golden"), config.inipath.parent if config.inipath else Path())
    except ConfigError as error:
        raise pytest.UsageError(*error.faults) from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take a recorded delivery for a test, and events that no delivery is beside for one that fails."""
    if not file_path.name.endswith((DELIVERY, EVENTS)):
        return None
    cases = next((cases for cases in parent.config.stash[CASES] if cases.has(file_path.parent)), None)
    if cases is None or (file_path.name.endswith(EVENTS) and recorded(file_path).exists()):
        return None
    return GoldenFile.from_parent(parent, path=file_path, cases=cases)


class GoldenFile(pytest.File):
    """A file of a golden pair, which holds one test."""

    def __init__(self, *, cases: Cases, **rest: Any) -> None:
        super().__init__(**rest)
        self.cases = cases

    def collect(self) -> Iterable[pytest.Item]:
        """Give the one test, by the name of the case."""
        case = self.path.name.removesuffix(DELIVERY).removesuffix(EVENTS)
        yield GoldenItem.from_parent(self, name=case, cases=self.cases)


class GoldenItem(pytest.Item):
    """The test of one golden pair."""

    def __init__(self, *, cases: Cases, **rest: Any) -> None:
        super().__init__(**rest)
        self.cases = cases

    def runtest(self) -> None:
        """Compare the events that the transform makes with the recorded ones, or record them."""
        from gateway.golden import trial  # noqa: PLC0415 - no other run of pytest has to load the runner

        if self.path.name.endswith(EVENTS):
            raise TransformError(f"{self.path.name} has no {recorded(self.path).name} beside it; delete it")
        cases, golden = self.cases, expected(self.path)
        reference = cases.transform(self.path.parent)
        made = trial.events_of(self.path, reference, cases.root, prefix=cases.prefix, network=cases.network)
        if self.config.getoption("update_golden"):
            golden.write_text(made, encoding="utf-8")
        elif not golden.exists():
            raise TransformError(f"there is no {golden.name}; pytest --update-golden writes it, for you to review")
        elif diff := trial.difference(golden.read_text(encoding="utf-8"), made, golden.name, "what is made now"):
            raise TransformError(f"{reference} makes other events than recorded; --update-golden accepts them\n{diff}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Say what is wrong without a traceback: none of it would be the user's code."""
        if isinstance(excinfo.value, TransformError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the test by its case."""
        return self.path, None, f"{self.path.parent.name}: {self.name}"
