"""Failpoints in a real gateway process, armed as an operator would: through the environment."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi
from gateway.failpoints import EXIT_CODE, VARIABLE, arm
from tests.process import Process
from tests.signed import dumps, signed_headers
from tests.world import EVENT_KEY, TOML


async def send(gateway: Process, name: str) -> str:
    """Post a signed delivery; return the answer's status word, or that the connection broke."""
    body = dumps({"id": name, "type": "invoice.paid", "created": 1_699_999_999})
    headers = signed_headers("stripe", body, at=int(time.time() * 1000))
    url = f"http://127.0.0.1:{gateway.port}/webhooks/stripe"
    try:
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
            return str((await response.json())["status"])
    except aiohttp.ClientError:
        return "broken"


async def test_a_kill_between_commit_and_answer_is_absorbed(tmp_path: Path) -> None:
    """Killed on the third pass before an answer, the gateway knows the re-send as a duplicate and forwards it once."""
    event_api = LocalEventApi(keys={EVENT_KEY})
    await event_api.start()
    config = tmp_path / "gateway.toml"
    config.write_text(TOML.format(url=event_api.url))
    doomed = Process(config, **{VARIABLE: "before_answer=kill@3"})
    await doomed.start()
    assert [await send(doomed, f"evt_{n}") for n in range(3)] == ["accepted", "accepted", "broken"]
    assert await doomed.wait() == -signal.SIGKILL
    gateway = Process(config)
    await gateway.start()
    try:
        assert await send(gateway, "evt_2") == "duplicate"
        await event_api.until(lambda: {event.id for event in event_api.events} >= {"stripe:evt_2:invoice.paid"})
        assert len([event for event in event_api.runs() if "evt_2" in event.id]) == 1
    finally:
        assert await gateway.stop() == 0
        await event_api.stop()


@pytest.mark.parametrize("text", ["after_comit=kill", "after_commit=die", "after_commit", "in_prune=kill@0"])
def test_a_mistake_is_a_sentence(text: str) -> None:
    """What arms no failpoint ends the command with one sentence that quotes it and says what could be written."""
    environ = {**os.environ, VARIABLE: text}
    command = [sys.executable, "-c", "import gateway.failpoints"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    assert done.returncode == 1
    assert text in done.stderr
    assert "before_settle" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("action", "code"), [("kill", -signal.SIGKILL), ("exit", EXIT_CODE), ("cut", -signal.SIGKILL)])
async def test_each_action_ends_the_process(action: str, code: int) -> None:
    """Every action ends the process on the pass that was asked for, with its own exit code, and not before."""
    script = "\n".join([
        "import time, gateway.failpoints as points",
        f"points.arm('in_prune={action}@2, in_migration_7=kill')",
        "points.failpoint('in_prune'); points.failpoint('in_checkpoint'); print('alive', flush=True)",
        "points.failpoint('in_prune'); time.sleep(10)",
    ])  # fmt: skip
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    assert said == b"alive\n"
    assert child.returncode == code


def test_an_unknown_name_is_refused() -> None:
    """A failpoint that no code passes cannot be armed, so that no torture waits for it in vain."""
    with pytest.raises(ValueError, match="after_commit"):
        arm("nowhere=kill")
