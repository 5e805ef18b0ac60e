"""Proof by force: kill, starve and cut a gateway under load, and compare what two outside witnesses saw."""
