"""Whether metrics are exported, as OpenTelemetry's own variables say; the exporter reads the details of how itself.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Mapping

USUAL_SECONDS = 60.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def interval(environ: Mapping[str, str]) -> float | None:
    """Return every how many seconds metrics are exported; None where they are not.

    They are where the environment names a collector or the exporter `otlp`, and does not switch it off.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    exporters = {name.strip() for name in environ.get("OTEL_METRICS_EXPORTER", "").lower().split(",")} - {""}
    wanted = "otlp" in exporters or (not exporters and any(environ.get(name, "").strip() for name in _ENDPOINTS))
    milliseconds = environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip()
    usual = not milliseconds.isdecimal() or not int(milliseconds)
    return None if not wanted else USUAL_SECONDS if usual else int(milliseconds) / 1000
