"""The senders' own libraries for node, started once."""

import os
from collections.abc import Iterator

import pytest

from tests.judges.node import NodeJudges, Unavailable, running


@pytest.fixture(scope="session")
def node() -> Iterator[NodeJudges]:
    """Give the judges; without node or a registry the tests are skipped, but never in CI where there is node."""
    try:
        with running() as judges:
            yield judges
    except Unavailable as error:
        if os.environ.get("CI") == "true" and error.has_node:
            pytest.fail(f"{error}, and in CI these tests must run")
        pytest.skip(str(error))
