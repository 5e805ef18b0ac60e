"""What goes wrong with PostgreSQL, in our own words: what may be tried again, and what the waiter is told."""

from __future__ import annotations

import os

import asyncpg

from gateway.errors import InboxError, InboxUnavailable

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""Everything that asyncpg raises; what it raises of Python's own is about the connection."""

# https://www.postgresql.org/docs/current/errcodes-appendix.html: serialization_failure, deadlock_detected,
# idle_in_transaction_session_timeout, and the class of what an operator does, such as a restart.
_PASSING = ("40001", "40P01", "25P03", "57P")
_VALUES = ("22", "23", "54")  # data_exception, integrity_constraint_violation, program_limit_exceeded
_READ_ONLY = "25006"


def is_passing(error: BaseException) -> bool:
    """Tell whether the same may succeed at once, on another connection, given that nothing was committed."""
    if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return True
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_PASSING)
    return isinstance(error, OSError) and not isinstance(error, TimeoutError)


def is_about_values(error: BaseException) -> bool:
    """Tell whether what was sent cannot be kept as it is, whatever the state of the server."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_VALUES)


def is_read_only(error: BaseException) -> bool:
    """Tell whether the server has become a standby, so that connections to it are of no use."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate == _READ_ONLY


def unavailable(error: BaseException) -> InboxError:
    """Return what the waiter is told; the details of PostgreSQL's own message may hold values of rows."""
    return InboxUnavailable(f"the inbox's PostgreSQL cannot serve: {reason(error)}")


def reason(error: BaseException) -> str:
    """Return the first line of an error, without details."""
    if is_about_values(error):
        return "a value cannot be kept in its tables"  # asyncpg's own sentence would hold it
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own sentence holds the address alone
    first = str(error.args[0]).splitlines()[0] if error.args and str(error.args[0]) else ""
    return first or type(error).__name__
