"""Logs, traces and metrics: every name of a log event, span and metric lives here."""
