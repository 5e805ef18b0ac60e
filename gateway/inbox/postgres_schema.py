"""The tables of the PostgreSQL inbox and the steps that bring an older schema to them, forward only.

Each step says which schema a gateway must know to go on using the tables, so that gateways of the version before serve
on while those of the new one are started one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import InboxOutdated, InboxUnsupported
from gateway.failpoints import failpoint
from gateway.inbox.postgres_connections import Connection, Connections, Terms
from gateway.inbox.postgres_days import NUMBER_BITS


@dataclass(frozen=True, slots=True)
class Step:
    """The statements that make a schema of the one before, and the oldest gateway, by its schema, that can use it."""

    statements: str
    readable_from: int


# One row each: what the tables are, and the latest time that a change was told.
_ABOUT = """
CREATE TABLE about (id int PRIMARY KEY CHECK (id = 1), version int NOT NULL, readable_from int NOT NULL);
CREATE TABLE timeline (id int PRIMARY KEY CHECK (id = 1), reached bigint NOT NULL);
INSERT INTO timeline VALUES (1, 0);
"""

# What is not finished, narrow, and apart from everything that is kept: few rows, however many were. Rows change often,
# so pages have room for that and are cleaned early. Text is compared byte by byte, whatever the database's language.
_QUEUE = """
CREATE TABLE queue (
  key bigint PRIMARY KEY,
  source text COLLATE "C" NOT NULL,
  received_at bigint NOT NULL,
  due_at bigint NOT NULL,
  bytes int NOT NULL,
  attempts int NOT NULL DEFAULT 0,
  generation int NOT NULL DEFAULT 0,
  reason text COLLATE "C" NOT NULL DEFAULT '',
  rejections int NOT NULL DEFAULT 0,
  rejected_at bigint,
  lease text COLLATE "C",
  leased_until bigint CHECK ((leased_until IS NULL) = (lease IS NULL)),
  batch text COLLATE "C",
  position int CHECK ((position IS NULL) = (batch IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_due ON queue (source, due_at, key) WHERE lease IS NULL AND batch IS NULL;
CREATE INDEX queue_leased ON queue (leased_until) WHERE lease IS NOT NULL AND batch IS NULL;
CREATE INDEX queue_frozen ON queue (due_at, key) WHERE batch IS NOT NULL;
CREATE INDEX queue_batch ON queue (batch, position) WHERE batch IS NOT NULL;
CREATE TABLE frozen (key bigint PRIMARY KEY, seed text COLLATE "C" NOT NULL, events bytea NOT NULL);
CREATE TABLE rates (name text COLLATE "C" PRIMARY KEY, free_at bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE sources (source text COLLATE "C" PRIMARY KEY);
"""

_DEDUPE = """
CREATE TABLE dedupe (
  source text COLLATE "C" NOT NULL,
  delivery_id text COLLATE "C" NOT NULL,
  digest bytea,
  key bigint NOT NULL,
  first_seen bigint NOT NULL,
  expires_at bigint NOT NULL,
  hits int NOT NULL DEFAULT 0,
  last_seen bigint,
  PRIMARY KEY (source, delivery_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX dedupe_digest ON dedupe (source, digest) WHERE digest IS NOT NULL;
CREATE INDEX dedupe_expiry ON dedupe (expires_at);
CREATE INDEX dedupe_hits ON dedupe (source) WHERE hits > 0;
CREATE TABLE secret_uses (
  day bigint NOT NULL,
  source text COLLATE "C" NOT NULL,
  label text COLLATE "C" NOT NULL,
  uses bigint NOT NULL,
  last_at bigint NOT NULL,
  PRIMARY KEY (day, source, label)
);
"""

# Ids may be of any length and an index takes less than 3 kB, so it holds their beginnings. Rows of entries never
# change. What became of one is a row of outcomes, which a replay takes away again; `forget_at` is filled when the body
# goes by itself, and not when it goes with its day.
_DAYS = f"""
CREATE SEQUENCE keys AS bigint MAXVALUE {(1 << NUMBER_BITS) - 1} CYCLE;
CREATE TABLE entries (
  key bigint PRIMARY KEY,
  source text COLLATE "C" NOT NULL,
  provider text COLLATE "C" NOT NULL,
  delivery_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  trace_id text COLLATE "C" NOT NULL,
  received_at bigint NOT NULL,
  digest bytea,
  expires_at bigint NOT NULL
) PARTITION BY RANGE (key);
CREATE INDEX entries_received ON entries (received_at, key);
CREATE INDEX entries_source ON entries (source, received_at, key);
CREATE INDEX entries_delivery ON entries (left(delivery_id, 200));
CREATE INDEX entries_trace ON entries (left(trace_id, 200)) WHERE trace_id <> '';
CREATE TABLE outcomes (
  key bigint PRIMARY KEY,
  source text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('forwarded', 'skipped', 'dead')),
  due_at bigint NOT NULL,
  attempts int NOT NULL,
  generation int NOT NULL,
  reason text COLLATE "C" NOT NULL,
  rejections int NOT NULL,
  rejected_at bigint,
  settled_at bigint NOT NULL,
  forget_at bigint
) PARTITION BY RANGE (key);
CREATE INDEX outcomes_settled ON outcomes (settled_at) WHERE forget_at IS NULL;
CREATE INDEX outcomes_forget ON outcomes (forget_at) WHERE forget_at IS NOT NULL;
CREATE INDEX outcomes_dead ON outcomes (key) WHERE state = 'dead';
CREATE TABLE bodies (
  key bigint PRIMARY KEY,
  metadata bytea NOT NULL,
  body bytea NOT NULL,
  content bytea
) PARTITION BY RANGE (key);
CREATE TABLE attempts (
  key bigint NOT NULL,
  number int NOT NULL,
  at bigint NOT NULL,
  duration_ms bigint NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  status int,
  detail text COLLATE "C" NOT NULL,
  PRIMARY KEY (key, number)
) PARTITION BY RANGE (key);
CREATE TABLE events (
  key bigint NOT NULL,
  n int NOT NULL,
  id text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  event_api_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (key, n)
) PARTITION BY RANGE (key);
CREATE INDEX events_id ON events (left(id, 200));
CREATE INDEX events_event_api_id ON events (left(event_api_id, 200)) WHERE event_api_id <> '';
"""

# Which transform made an entry's events, and how long it took; in the rows that a settlement writes anyway. Without a
# default and a check no row is read or written for it, and who writes rows without them goes on. `queue` goes first,
# as it does in a settlement.
_TRANSFORM_RUNS = """
ALTER TABLE queue ADD COLUMN transform text COLLATE "C", ADD COLUMN transform_ms float8;
ALTER TABLE outcomes ADD COLUMN transform text COLLATE "C", ADD COLUMN transform_ms float8;
"""

STEPS = (
    Step(_ABOUT + _QUEUE + _DEDUPE + _DAYS, readable_from=1),
    Step(_TRANSFORM_RUNS, readable_from=1),
)
"""Step n takes schema n to n + 1; the first makes the tables where there are none."""

SCHEMA = len(STEPS)

_TERMS = Terms(statement_ms=600_000, lock_ms=10_000)
# One gateway migrates and the others wait for it.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('webhook gateway schema'), hashtext($1))"
_HAS_SCHEMA = "SELECT count(*) FROM pg_namespace WHERE nspname = $1"
_EXISTS = "SELECT count(*) FROM information_schema.tables WHERE table_schema = $1 AND table_name = 'about'"


async def version(connection: Connection, schema: str) -> tuple[int, int]:
    """Return the version of the schema and the oldest one whose gateways can use it; zeros where there is none."""
    if not await connection.fetchval(_EXISTS, schema):
        return 0, 0
    found, readable_from = await connection.fetchrow("SELECT version, readable_from FROM about")
    return int(found), int(readable_from)


async def migrate(connections: Connections, steps: Sequence[Step] = STEPS) -> int:
    """Take all steps that the schema lacks, each in one transaction; return how many were taken.

    Raises InboxUnsupported for a schema that this gateway is too old for.
    """
    taken = 0
    while await connections.run(lambda connection: _take(connection, connections.schema, steps), _TERMS):
        taken += 1
    return taken


async def require(connections: Connections) -> None:
    """Raise InboxOutdated where steps are to be taken first, InboxUnsupported for a schema that is too new."""
    found, readable_from = await connections.run(
        lambda connection: version(connection, connections.schema), Terms(read_only=True)
    )
    _require_known(connections.schema, found, readable_from, SCHEMA)
    if found < SCHEMA:
        raise InboxOutdated(
            f'the schema "{connections.schema}" of the inbox is of version {found} and this gateway needs {SCHEMA}; '
            "run `gateway migrate`"
        )


def _require_known(schema: str, found: int, readable_from: int, known: int) -> None:
    if readable_from > known:
        raise InboxUnsupported(
            f'the schema "{schema}" of the inbox was made by a newer gateway (it is of version {found}, this gateway '
            f"knows {known}); upgrade this gateway"
        )


async def _take(connection: Connection, schema: str, steps: Sequence[Step]) -> bool:
    await connection.execute(_LOCK, schema)
    if not await connection.fetchval(_HAS_SCHEMA, schema):  # a role that may not make one need not, where it is there
        await connection.execute(f'CREATE SCHEMA "{schema}"')
    found, readable_from = await version(connection, schema)
    _require_known(schema, found, readable_from, len(steps))
    if found >= len(steps):
        return False
    step = steps[found]
    await connection.execute(step.statements)
    about = "INSERT INTO about VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE SET version = $1, readable_from = $2"
    await connection.execute(about, found + 1, step.readable_from)
    failpoint(f"in_migration_{found + 1}")
    return True
