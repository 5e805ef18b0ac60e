"""What the gateway costs, measured beside others and so that others can repeat it: docs/performance.md."""
