"""A source's transforms: which of them maps a delivery, and what the gateway adds to the events it returns. Pure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from gateway.model import Delivery

Transform = Callable[[Delivery], Any]

_SHIPPED = Path(__file__).parents[1] / "transforms"
_WILDCARD = re.compile(r"\[[^]]+\]|[*?]")


@dataclass(frozen=True, slots=True, eq=False)
class Isolation:
    """How a source's transforms run in worker processes; each such object stands for one set of workers.

    `references` are all of the source's transforms, `environ` the variables that the workers are given.
    """

    source: str
    references: tuple[str, ...]
    folder: Path
    workers: int
    memory_mb: int
    environ: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mapper:
    """A transform, found, and what the gateway adds to the events it returns.

    `reference` is what the configuration calls it. `metadata` adds `_gateway` to the data; `big_integers` says how
    integers beyond ±2^53 are sent. `routes` are the mappers of other types by pattern, the most specific first.
    `runs_async` tells whether the function is to run on a loop, `shipped` whether it is one of ours.
    """

    source: str
    reference: str
    function: Transform
    prefix: str
    timeout_seconds: float = 10.0
    metadata: bool = False
    big_integers: Literal["number", "string"] = "number"
    isolation: Isolation | None = None
    routes: tuple[tuple[str, Mapper], ...] = ()
    runs_async: bool = field(init=False, repr=False)
    shipped: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "runs_async", _is_async(self.function))
        code = getattr(self.function, "__code__", None)
        object.__setattr__(self, "shipped", code is not None and Path(code.co_filename).parent == _SHIPPED)

    def chosen(self, kind: str) -> Mapper:
        """Return the mapper of a type: that of the very type, else of the first pattern that fits, else this one."""
        exact = (mapper for pattern, mapper in self.routes if pattern == kind)
        fitting = (mapper for pattern, mapper in self.routes if fnmatchcase(kind, pattern))
        return next(exact, None) or next(fitting, self) if self.routes else self

    @property
    def described(self) -> str:
        """All transforms by reference, and which types those of routes are for."""
        routes = ", ".join(f"{route.reference} for {pattern}" for pattern, route in self.routes)
        return f"{self.reference} ({routes})" if routes else self.reference

    @property
    def computes_beside_us(self) -> bool:
        """Whether code of the user's runs in the gateway's own process, where Python runs one thread at a time."""
        return (not self.shipped and self.isolation is None) or any(
            route.computes_beside_us for _, route in self.routes
        )

    @property
    def package(self) -> str:
        """The top-level package in which the transform's own code lives."""
        module, colon, _ = self.reference.partition(":")
        told = colon and all(part.isidentifier() for part in module.split("."))
        return (module if told else str(getattr(self.function, "__module__", ""))).partition(".")[0]


def by_specificity(patterns: Iterable[str]) -> list[str]:
    """Return patterns by most characters that are no wildcards, then by fewest wildcards, then in their order."""

    def rank(pattern: str) -> tuple[int, int]:
        return -len(_WILDCARD.sub("", pattern)), len(_WILDCARD.findall(pattern))

    return sorted(patterns, key=rank)


def _is_async(function: Transform) -> bool:
    """Tell whether a transform is a coroutine function, an async generator function, or has such a __call__."""
    return any(
        inspect.iscoroutinefunction(candidate) or inspect.isasyncgenfunction(candidate)
        for candidate in (function, type(function).__call__)
    )
