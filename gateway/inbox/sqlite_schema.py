"""The tables of the SQLite inbox and the steps that bring an older file to them."""

from __future__ import annotations

from pathlib import Path

import apsw

from gateway.errors import InboxUnsupported
from gateway.failpoints import failpoint

APPLICATION_ID = 0x57454731  # "WEG1", so that a file of another program is never taken for an inbox

# Entries are narrow and change often; bodies are wide and written once. An entry without its body stays for as long
# as its id is remembered, so that an absorbed re-send can still be explained. AUTOINCREMENT: a key names one entry
# for ever. The indexes that lease() needs hold pending and leased entries only, so the settled ones cost it nothing.
_ENTRIES = """
CREATE TABLE entries (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  provider TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  type TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'leased', 'forwarded', 'skipped', 'dead')),
  due_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  rejections INTEGER NOT NULL DEFAULT 0,
  rejected_at INTEGER,
  lease TEXT CHECK ((lease IS NOT NULL) = (state = 'leased')),
  leased_until INTEGER CHECK ((leased_until IS NOT NULL) = (state = 'leased')),
  batch TEXT CHECK (batch IS NULL OR state IN ('pending', 'leased')),
  position INTEGER CHECK ((position IS NULL) = (batch IS NULL)),
  settled_at INTEGER CHECK ((settled_at IS NULL) = (state IN ('pending', 'leased'))),
  body_kept INTEGER NOT NULL DEFAULT 1 CHECK (body_kept OR settled_at IS NOT NULL)
) STRICT;
CREATE INDEX entries_due ON entries (due_at) WHERE state = 'pending' AND batch IS NULL;
CREATE INDEX entries_leased ON entries (due_at, key, leased_until) WHERE state = 'leased' AND batch IS NULL;
CREATE INDEX entries_frozen ON entries (due_at, key, batch, state, leased_until) WHERE batch IS NOT NULL;
CREATE INDEX entries_batch ON entries (batch, position) WHERE batch IS NOT NULL;
CREATE INDEX entries_settled ON entries (body_kept, received_at) WHERE settled_at IS NOT NULL;
CREATE INDEX entries_received ON entries (received_at);
CREATE INDEX entries_source ON entries (source, received_at, key, state);
CREATE INDEX entries_dead ON entries (received_at) WHERE state = 'dead';
CREATE INDEX entries_delivery ON entries (delivery_id);
CREATE INDEX entries_trace ON entries (trace_id) WHERE trace_id <> '';
"""

# `content` is filled only where it can be had neither from the body as it is nor by undoing its Content-Encoding.
_BODIES = """
CREATE TABLE bodies (
  key INTEGER PRIMARY KEY,
  metadata BLOB NOT NULL,
  body BLOB NOT NULL,
  content BLOB
) STRICT;
CREATE TABLE frozen (
  key INTEGER PRIMARY KEY,
  seed TEXT NOT NULL,
  events BLOB NOT NULL
) STRICT;
"""

_DEDUPE = """
CREATE TABLE dedupe (
  source TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  key INTEGER NOT NULL,
  first_seen INTEGER NOT NULL,
  hits INTEGER NOT NULL DEFAULT 0,
  last_seen INTEGER,
  PRIMARY KEY (source, delivery_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedupe_first_seen ON dedupe (first_seen);
CREATE INDEX dedupe_hits ON dedupe (source, hits) WHERE hits > 0;
"""

_HISTORY = """
CREATE TABLE attempts (
  key INTEGER NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  status INTEGER,
  detail TEXT NOT NULL,
  PRIMARY KEY (key, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE events (
  key INTEGER NOT NULL,
  n INTEGER NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  event_api_id TEXT NOT NULL,
  PRIMARY KEY (key, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_id ON events (id);
CREATE INDEX events_event_api_id ON events (event_api_id) WHERE event_api_id <> '';
"""

# A lease takes the oldest of some sources, so each source has an order of its own.
_DUE_BY_SOURCE = """
DROP INDEX entries_due;
CREATE INDEX entries_due ON entries (source, due_at) WHERE state = 'pending' AND batch IS NULL;
"""

# Rejections counted while the event API refused everything too; of those nobody can tell which speak against an entry.
_REJECTIONS_ANEW = """
UPDATE entries SET rejections = 0, rejected_at = NULL WHERE rejections > 0 AND settled_at IS NULL;
"""

# One row: the latest `now` that a change was told. Retention goes by that time too; `received_at` is the wall clock's.
_TIMELINE = """
CREATE TABLE timeline (id INTEGER PRIMARY KEY CHECK (id = 1), reached INTEGER NOT NULL) STRICT;
INSERT INTO timeline (id, reached) SELECT 1, coalesce(max(first_seen), 0) FROM dedupe;
DROP INDEX entries_settled;
CREATE INDEX entries_settled ON entries (body_kept, settled_at) WHERE settled_at IS NOT NULL;
"""

# An entry is known by its id and, where its signature does not cover that, by a digest of what was signed, for a window
# of its own. `forget_at` is filled when the body goes. What was kept before gets the window that the gateway now has.
_TWO_KEYS = """
ALTER TABLE dedupe ADD COLUMN digest BLOB;
ALTER TABLE dedupe ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
UPDATE dedupe SET expires_at = first_seen + :window_ms;
CREATE UNIQUE INDEX dedupe_digest ON dedupe (source, digest) WHERE digest IS NOT NULL;
DROP INDEX dedupe_first_seen;
CREATE INDEX dedupe_expiry ON dedupe (expires_at);
ALTER TABLE entries ADD COLUMN forget_at INTEGER;
UPDATE entries SET forget_at = settled_at + :window_ms WHERE body_kept = 0;
CREATE INDEX entries_forget ON entries (forget_at) WHERE forget_at IS NOT NULL;
"""

# How often the secrets of a source verified a delivery, so that one sees when an old one is needed no more.
_ROTATION = """
CREATE TABLE secret_uses (
  day INTEGER NOT NULL,
  source TEXT NOT NULL,
  label TEXT NOT NULL,
  uses INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (day, source, label)
) STRICT, WITHOUT ROWID;
"""

# Which transform made an entry's events, and how long it took; in the row that a settlement writes anyway.
_TRANSFORM_RUNS = """
ALTER TABLE entries ADD COLUMN transform TEXT;
ALTER TABLE entries ADD COLUMN transform_ms REAL CHECK ((transform_ms IS NULL) = (transform IS NULL));
"""

# Step n takes a file of user_version n to n + 1; the first makes the tables in an empty file.
_STEPS = (
    _ENTRIES + _BODIES + _DEDUPE + _HISTORY,
    _DUE_BY_SOURCE,
    _REJECTIONS_ANEW + _TIMELINE,
    _TWO_KEYS,
    _ROTATION,
    _TRANSFORM_RUNS,
)
SCHEMA = len(_STEPS)


def identify(connection: apsw.Connection, path: Path) -> int:
    """Return the schema version of the file, 0 for an empty one, without changing it.

    Raises InboxUnsupported for a database of another program and for a schema newer than this gateway's.
    """
    application = connection.pragma("application_id")
    version = int(connection.pragma("user_version"))
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise InboxUnsupported(
            f"{path} is a SQLite database of another program, not an inbox; name another file in [inbox] url"
        )
    if version > SCHEMA:
        raise InboxUnsupported(
            f"{path} was written by a newer gateway (its schema is {version}, this gateway knows {SCHEMA}); "
            "upgrade this gateway or restore a backup made before the upgrade"
        )
    return version


def migrate(connection: apsw.Connection, version: int, window_ms: int) -> None:
    """Bring a file of schema `version` to SCHEMA; each step is one transaction, so a crash leaves old or new.

    `window_ms` is the dedupe window of what was kept before windows were kept with it.
    After an error the connection must be closed, which undoes the step.
    """
    for step in range(version, SCHEMA):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_STEPS[step], {"window_ms": window_ms})
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", step + 1)
        failpoint(f"in_migration_{step + 1}")
        connection.execute("COMMIT")
