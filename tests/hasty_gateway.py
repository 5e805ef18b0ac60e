"""A gateway whose leases are short, so that a test sees one end within seconds; otherwise `python -m gateway`."""

from gateway import build
from gateway.cli import main

build.LEASE_MARGIN_MS = 1_000

if __name__ == "__main__":
    main()
