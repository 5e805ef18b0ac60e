"""Find the transforms that a source's configuration names, and say how they run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway import find
from gateway.config import Config, SourceConfig, environ_without_secrets
from gateway.mapper import Isolation, Mapper, by_specificity
from gateway.providers import Provider


def mapper(name: str, config: SourceConfig, provider: Provider, whole: Config) -> Mapper:
    """Return a source's default transform, with those of other types as its routes. Raises TransformError."""
    folder = whole.path.parent
    table = dict(config.transforms)
    default = table.pop("default", config.transform or provider.transform)
    made = Mapper(
        source=name,
        reference=default,
        function=find.load(default, folder),
        prefix=config.prefix or provider.prefix or provider.name,
        timeout_seconds=config.transform_timeout_seconds,
        metadata=config.metadata,
        big_integers=config.big_integers,
    )
    routes = [
        (pattern, replace(made, reference=table[pattern], function=find.load(table[pattern], folder)))
        for pattern in by_specificity(table)
    ]
    made = replace(made, routes=tuple(routes))
    if config.isolation != "process":
        return made
    environ = environ_without_secrets(whole)
    isolation = Isolation(name, (), folder, config.transform_workers, config.transform_memory_mb, environ)
    return _isolated(made, isolation)


def changed(own: Mapper, reference: str, folder: Path, pattern: str = "") -> Mapper:
    """Return a source's mapper with another transform in place of all of its own, or of those of one type pattern.

    It runs as the source's do: within their time, and in worker processes where they do. Raises TransformError.
    """
    made = replace(own, reference=reference, function=find.load(reference, folder), routes=())
    if pattern == "default":
        made = replace(made, routes=own.routes)
    elif pattern:
        routes = {**dict(own.routes), pattern: made}
        made = replace(own, routes=tuple((key, routes[key]) for key in by_specificity(routes)))
    return _isolated(made, own.isolation) if own.isolation else made


def _isolated(made: Mapper, isolation: Isolation) -> Mapper:
    """Return the mapper with worker processes of its own, for all of its transforms."""
    references = dict.fromkeys((made.reference, *(route.reference for _, route in made.routes)))
    shared = replace(isolation, references=tuple(references))
    routes = tuple((pattern, replace(route, isolation=shared)) for pattern, route in made.routes)
    return replace(made, isolation=shared, routes=routes)
