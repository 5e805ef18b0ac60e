"""The durable store: its contract, and one file per engine."""
