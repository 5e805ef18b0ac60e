"""The statements that a writer thread runs."""

import apsw

from gateway.inbox.sqlite import SqliteInbox


def watch(inbox: SqliteInbox, words: str) -> list[str]:
    """Return a list that gets each statement that the writer runs and that has these words."""
    seen: list[str] = []

    def note(_cursor: apsw.Cursor, statement: str, _values: object) -> bool:
        if words in statement:
            seen.append(statement)
        return True

    assert inbox._serving
    inbox._serving.opened.connection.set_exec_trace(note)
    return seen
