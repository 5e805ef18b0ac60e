"""A gateway whose leases are short, so that a test sees one end within seconds; otherwise `python -m gateway`."""

from gateway import app
from gateway.cli import main

app.LEASE_MARGIN_MS = 1_000

if __name__ == "__main__":
    main()
