"""OpenTelemetry's variables: what they say of traces, and what is wrong with them."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config import environ_without_secrets, load
from gateway.config.tracing import Tracing
from gateway.errors import ConfigError

TOML = '[sources.acme]\nprovider = "hmac"\nverify = "none"\n'
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
SAMPLER, RATIO = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"


def tracing(folder: Path, **environ: str) -> Tracing:
    """Load a configuration in an environment; return what it says of traces. Raises ConfigError."""
    path = folder / "gateway.toml"
    path.write_text(TOML)
    return load(path, {"INNGEST_DEV": "1", **environ}).tracing


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Tracing(exported=False, ratio=1.0)),
        (ENDPOINT, Tracing(exported=True, ratio=1.0)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/x"}, Tracing(exported=True, ratio=1.0)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, Tracing(exported=True, ratio=1.0)),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, Tracing()),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, Tracing()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, Tracing()),
        ({**ENDPOINT, SAMPLER: "traceidratio", RATIO: "0.01"}, Tracing(exported=True, ratio=0.01)),
        ({**ENDPOINT, SAMPLER: "parentbased_traceidratio", RATIO: "0"}, Tracing(exported=True, ratio=0.0)),
        ({**ENDPOINT, SAMPLER: "traceidratio"}, Tracing(exported=True, ratio=1.0)),
        ({**ENDPOINT, SAMPLER: "always_off", RATIO: "1"}, Tracing(exported=True, ratio=0.0)),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, Tracing(exported=True, ratio=1.0)),
    ],
)
def test_what_the_environment_says(tmp_path: Path, environ: dict[str, str], expected: Tracing) -> None:
    """Spans are exported where a collector or the exporter is named; the ratio is the sampler's."""
    assert tracing(tmp_path, **environ) == expected


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: spans are exported by OTLP alone; set it to otlp"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: OTLP is spoken over HTTP alone"),
        ({SAMPLER: "sometimes"}, "OTEL_TRACES_SAMPLER: there are always_on, always_off, traceidratio"),
        ({SAMPLER: "traceidratio", RATIO: "1 %"}, "OTEL_TRACES_SAMPLER_ARG: this is no number from 0 to 1"),
        ({SAMPLER: "traceidratio", RATIO: "nan"}, "OTEL_TRACES_SAMPLER_ARG: this is no number from 0 to 1"),
        ({SAMPLER: "traceidratio", RATIO: "1.5"}, "OTEL_TRACES_SAMPLER_ARG: this is no number from 0 to 1"),
    ],
)
def test_what_is_wrong(tmp_path: Path, environ: dict[str, str], sentence: str) -> None:
    """A variable that cannot be meant is told by its name, with what to do, as any fault of the configuration."""
    with pytest.raises(ConfigError) as told:
        tracing(tmp_path, **environ)
    [fault] = told.value.faults
    assert fault.startswith(sentence)


def test_headers_of_the_collector_are_kept_from_transforms(tmp_path: Path) -> None:
    """They may hold its key, and worker processes have no use for them."""
    path = tmp_path / "gateway.toml"
    path.write_text(TOML)
    config = load(path, {"INNGEST_DEV": "1"})
    secret = {"OTEL_EXPORTER_OTLP_HEADERS": "key=canary", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=canary"}
    assert environ_without_secrets(config, {**secret, **ENDPOINT}) == ENDPOINT


def test_library_is_loaded_by_those_who_export_alone() -> None:
    """A gateway without a collector does not pay for OpenTelemetry."""
    code = "import sys, gateway.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=50)  # noqa: S603 - our own code
    assert done.returncode == 0
