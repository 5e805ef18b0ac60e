"""Shipped transforms, and the examples to copy."""
