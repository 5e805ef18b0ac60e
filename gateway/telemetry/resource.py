"""Who sends: what OpenTelemetry calls the resource of spans and metrics."""

from __future__ import annotations

from importlib.metadata import version

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource

PACKAGE = "webhook-event-gateway"
VERSION = version(PACKAGE)


def resource() -> Resource:
    """Return what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say; the package's name and version where they do not.

    https://opentelemetry.io/docs/specs/otel/resource/sdk/
    """
    told = Resource.create()
    unnamed = str(told.attributes[SERVICE_NAME]).startswith("unknown_service")
    name = Resource({SERVICE_NAME: PACKAGE}) if unnamed else Resource({})
    return Resource({SERVICE_VERSION: VERSION}).merge(told).merge(name)
