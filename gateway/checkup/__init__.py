"""What `gateway doctor` examines of the machine: one check each, with what was found and what to do."""

from gateway.checkup.check import Check, Level

__all__ = ["Check", "Level"]
