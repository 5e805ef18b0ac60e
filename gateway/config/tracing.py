"""Whether and how much is traced, as OpenTelemetry's standard variables say it.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SAMPLER = "OTEL_TRACES_SAMPLER"
RATIO = "OTEL_TRACES_SAMPLER_ARG"
# Every request begins a trace, so that what a sampler says of those with a parent does not matter.
RATIOS = {"always_on": 1.0, "always_off": 0.0, "traceidratio": None}


@dataclass(frozen=True, slots=True)
class Tracing:
    """Whether spans are exported, and the share of requests that are sampled."""

    exported: bool = False
    ratio: float = 1.0


def tracing(environ: Mapping[str, str]) -> Tracing:
    """Read the variables, which `faults` finds nothing wrong with."""
    exporter = _text(environ, "OTEL_TRACES_EXPORTER")
    if _text(environ, "OTEL_SDK_DISABLED") == "true" or exporter == "none":
        return Tracing()
    return Tracing(bool(exporter) or any(_text(environ, name) for name in ENDPOINTS), _ratio(environ))


def faults(environ: Mapping[str, str]) -> Iterator[str]:
    """Say what is wrong with the variables, a sentence each."""
    exporter = _text(environ, "OTEL_TRACES_EXPORTER")
    if exporter not in {"", "otlp", "none"}:
        yield "OTEL_TRACES_EXPORTER: spans are exported by OTLP alone; set it to otlp or none, or unset it"
    for name in PROTOCOLS:
        if _text(environ, name) not in {"", "http/protobuf"}:
            yield (
                f"{name}: OTLP is spoken over HTTP alone; set it to http/protobuf, or unset it, and let the endpoint "
                "be the collector's port for that, usually 4318"
            )
    if _sampler(environ) not in RATIOS:
        yield f"{SAMPLER}: there are {', '.join(RATIOS)}, with or without parentbased_ before it; set one of them"
    if not 0 <= _ratio(environ) <= 1:
        yield f"{RATIO}: this is no number from 0 to 1; set the share of requests to trace, such as 0.01"


def holds_secrets(name: str) -> bool:
    """Tell whether a variable is one of the headers that the collector knows us by."""
    return name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("HEADERS")


def _sampler(environ: Mapping[str, str]) -> str:
    return (_text(environ, SAMPLER) or "always_on").removeprefix("parentbased_")


def _ratio(environ: Mapping[str, str]) -> float:
    """Return the share of requests to sample; not a number where it is none."""
    ratio = RATIOS.get(_sampler(environ), 1.0)
    try:
        return float(_text(environ, RATIO) or 1.0) if ratio is None else ratio
    except ValueError:
        return math.nan


def _text(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip().lower()
