"""The libraries of package.json, installed once per set of versions, in one node process that judges requests."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.model import Request
from tests.signed import FORM

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / "build" / "judges"
# Asked first, as an install takes minutes to find out that there is no registry.
PROBE = ["npm", "view", "npm", "version", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000"]
INSTALL = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
INSTALL_SECONDS = 240


class Unavailable(Exception):
    """The libraries cannot be had on this machine; the message says why, `has_node` whether it lacks no node."""

    def __init__(self, message: str, *, has_node: bool = True) -> None:
        super().__init__(message)
        self.has_node = has_node


class NodeJudges:
    """A node process that answers for the senders' libraries; `acts` has what each of them can do."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.acts: dict[str, list[str]] = self._answer()

    def sign(self, judge: str, request: Request, secret: str, key: str) -> dict[str, Any]:
        """Return what the library adds to a request: `headers`, and the `form` or `body` it makes of it."""
        answer: dict[str, Any] = self._ask(judge, "sign", request, secret, key)
        return answer

    def verify(self, judge: str, request: Request, secret: str, key: str) -> bool:
        """Tell whether the library takes a request as genuine."""
        return bool(self._ask(judge, "verify", request, secret, key))

    def shake(self, judge: str, text: str, secret: str, key: str) -> str:
        """Return what the library answers to a challenge."""
        return str(self._ask(judge, "shake", Request("GET", "/", "", (), text.encode(), 0), secret, key))

    def _ask(self, judge: str, act: str, request: Request, secret: str, key: str) -> Any:
        call = {
            "judge": judge,
            "act": act,
            "secret": secret,
            "key": key,
            "at": request.received_at,
            "url": request.url,
            "headers": dict(request.headers),
            "is_form": request.media_type == FORM,
            "body": base64.b64encode(request.body).decode(),
        }
        assert self._child.stdin
        self._child.stdin.write(json.dumps(call) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._child.stdout
        line = self._child.stdout.readline()
        assert line, "the node process has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["answer"]


@contextmanager
def running() -> Iterator[NodeJudges]:
    """Give the judges. Raises Unavailable where there is no node, or no registry to install from."""
    node = shutil.which("node")
    if not node or not shutil.which("npm"):
        raise Unavailable("node and npm are not installed", has_node=False)
    command = [node, str(_installed() / "server.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own command
        try:
            yield NodeJudges(child)
        finally:
            child.kill()


def _installed() -> Path:
    """Return the folder with the libraries and the server, installed if these versions are not there yet."""
    manifest = HERE / "package.json"
    folder = CACHE / hashlib.sha256(manifest.read_bytes()).hexdigest()[:16]
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as made:
            shutil.copy(manifest, made)
            _install(Path(made))
            # Whole or not at all: an install that was cut off is never taken for a finished one.
            Path(made).rename(folder)
    for name in ("judges.mjs", "server.mjs"):
        shutil.copy(HERE / name, folder)
    return folder


def _install(folder: Path) -> None:
    if _npm(PROBE, folder).returncode:
        raise Unavailable("the npm registry cannot be reached")
    done = _npm(INSTALL, folder)
    assert done.returncode == 0, done.stderr[-2_000:]


def _npm(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)  # noqa: S603 - our own command
