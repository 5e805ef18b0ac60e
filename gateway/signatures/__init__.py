"""Signatures of any scheme over the bytes on the wire: the one engine that checks and makes them. Pure."""

from gateway.signatures.carrier import MAX_SIGNATURES
from gateway.signatures.engine import Check, check, compile_check, read_signatures, reader, unsigned
from gateway.signatures.making import Make, render_template, sign, signed_request
from gateway.signatures.proof import Proof
from gateway.signatures.received import MAX_HEADER_LENGTH
from gateway.signatures.window import parse_timestamp, parser, require_recent

__all__ = [
    "MAX_HEADER_LENGTH",
    "MAX_SIGNATURES",
    "Check",
    "Make",
    "Proof",
    "check",
    "compile_check",
    "parse_timestamp",
    "parser",
    "read_signatures",
    "reader",
    "render_template",
    "require_recent",
    "sign",
    "signed_request",
    "unsigned",
]
