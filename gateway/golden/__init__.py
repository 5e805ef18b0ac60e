"""Golden pairs: a recorded delivery, the events it must become, and the pytest plugin that compares the two."""
