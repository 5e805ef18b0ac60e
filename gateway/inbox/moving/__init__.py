"""Move an inbox from a SQLite file into PostgreSQL: in resumable batches, held back until everything was compared."""
