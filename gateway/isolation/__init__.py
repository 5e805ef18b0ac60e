"""Transforms in worker processes of their own: killed at the time limit, bounded in memory, and replaced."""
