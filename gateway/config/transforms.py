"""What the transforms of a configuration must satisfy: that they are found, and that there are not too many workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway import find
from gateway.config.faults import Fault
from gateway.config.models import Config
from gateway.config.source import MAX_WORKERS, SourceConfig
from gateway.errors import TransformError
from gateway.providers import Provider

DEFAULT = "default"


def check_transforms(name: str, source: SourceConfig, provider: Provider | None, folder: Path) -> Iterator[Fault]:
    """Find the transforms of a source that cannot be loaded, and the keys that have no effect."""
    at = ("sources", name)
    if source.transform and source.transforms:
        yield Fault(
            (*at, "transforms"),
            "stands beside transform, and one of them would never be used; write transform into it as default",
        )
    for key in ("transform_workers", "transform_memory_mb"):
        if source.isolation == "thread" and key in source.model_fields_set:
            sentence = 'has no effect where transforms run in threads; set isolation = "process", or leave it out'
            yield Fault((*at, key), sentence, ((*at, "isolation"),))
    shipped = provider.transform if provider else None
    if (reference := source.transform or shipped) and DEFAULT not in source.transforms:
        yield from _check_reference(reference, (*at, "transform"), folder)
    for kind, reference in source.transforms.items():
        if not kind:
            sentence = "is no pattern of types; write a type, a pattern such as invoice.*, or default"
            yield Fault((*at, "transforms", kind), sentence)
        yield from _check_reference(reference, (*at, "transforms", kind), folder)


def check_workers(config: Config) -> Iterator[Fault]:
    """Find the first source whose worker processes, with those of sources before it, are too many."""
    total = 0
    for name, source in config.sources.items():
        total += source.transform_workers if source.isolation == "process" else 0
        if total > MAX_WORKERS:
            at = ("sources", name, "transform_workers")
            yield Fault(at, f"makes over {MAX_WORKERS} worker processes together with other sources; set fewer", (at,))
            return


def _check_reference(reference: str, location: tuple[str, ...], folder: Path) -> Iterator[Fault]:
    try:
        find.load(reference, folder)
    except TransformError as error:
        yield Fault(location, str(error))
