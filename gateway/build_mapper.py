"""Find the transforms that a source's configuration names, and say how they run."""

from __future__ import annotations

from dataclasses import replace

from gateway import find
from gateway.config import Config, SourceConfig, environ_without_secrets
from gateway.mapper import Isolation, Mapper, by_specificity
from gateway.providers import Provider


def mapper(name: str, config: SourceConfig, provider: Provider, whole: Config) -> Mapper:
    """Return a source's default transform, with those of other types as its routes. Raises TransformError."""
    folder = whole.path.parent
    table = dict(config.transforms)
    default = table.pop("default", config.transform or provider.transform)
    isolation = Isolation(
        source=name,
        references=tuple(dict.fromkeys((default, *table.values()))),
        folder=folder,
        workers=config.transform_workers,
        memory_mb=config.transform_memory_mb,
        environ=environ_without_secrets(whole),
    )
    made = Mapper(
        source=name,
        reference=default,
        function=find.load(default, folder),
        prefix=config.prefix or provider.prefix or provider.name,
        timeout_seconds=config.transform_timeout_seconds,
        metadata=config.metadata,
        big_integers=config.big_integers,
        isolation=isolation if config.isolation == "process" else None,
    )
    routes = [
        (pattern, replace(made, reference=table[pattern], function=find.load(table[pattern], folder)))
        for pattern in by_specificity(table)
    ]
    return replace(made, routes=tuple(routes))
