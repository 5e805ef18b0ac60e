"""Compare what two transforms make of the same deliveries."""
