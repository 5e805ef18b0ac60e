"""Transforms that do what they should not, as a module that a configuration names."""

from __future__ import annotations

MODULE = """
import ctypes, os, signal, subprocess, sys, time
from gateway import Event

kept = []

def good(delivery):
    return Event(name="made", data={"n": delivery.id})

async def good_async(delivery):
    return good(delivery)

def told(delivery):
    return Event(name="made", data={"pid": os.getpid(), "environ": dict(os.environ), "path": sys.path})

def held(delivery):
    while not os.path.exists(os.path.join(os.path.dirname(__file__), "go")):
        time.sleep(0.01)
    raise LookupError("held up")

def blocks(delivery):
    time.sleep(5)

def computes(delivery):
    while True:
        pass

async def never_yields(delivery):
    while True:
        pass

async def blocks_async(delivery):
    time.sleep(5)

def yields_late(delivery):
    yield good(delivery)
    while True:
        pass

def leaks(delivery):
    while True:
        kept.append(bytearray(4_000_000))

def leaks_slowly(delivery):
    kept.append(bytearray(30_000_000))
    return good(delivery)

def ends(delivery):
    os._exit(3)

def crashes(delivery):
    os.kill(os.getpid(), signal.SIGSEGV)

def is_killed(delivery):
    os.kill(os.getpid(), signal.SIGKILL)

def exits(delivery):
    sys.exit(3)

def interrupts(delivery):
    raise KeyboardInterrupt

def recurses(delivery):
    return recurses(delivery)

def opened():
    return [number for number in map(int, os.listdir("/dev/fd")) if number > 2]

def closes(delivery):
    for number in opened():
        try:
            os.close(number)
        except OSError:
            pass

def writes(delivery):
    for number in opened():
        try:
            os.write(number, b'x' * 64)
        except OSError:
            pass

def unhinges(delivery):
    sys.modules.clear()
    sys.path.clear()

def returns_text(delivery):
    return "made"

def returns_set(delivery):
    return Event(name="made", data={"items": {1, 2}})

def returns_seconds(delivery):
    return Event(name="made", data={}, ts=1_700_000_000)

def returns_float(delivery):
    return Event(name="made", data={}, ts=1_700_000_000.5)

def returns_reserved(delivery):
    return Event(name="inngest/made", data={})

def returns_long(delivery):
    return Event(name="x" * 300, data={})

def returns_number(delivery):
    return Event(name=7, data={})

def returns_list(delivery):
    return Event(name="made", data=[1])

def never_ends(delivery):
    while True:
        yield good(delivery)

def starts(delivery):
    child = subprocess.Popen(["sleep", "300"])
    open(os.path.join(os.path.dirname(__file__), "child"), "w").write(str(child.pid))
    time.sleep(5)
"""

LATE = "took over 0.3 s; make it faster, or set the source's transform_timeout_seconds"

HANGS = ("blocks", "computes", "never_yields", "blocks_async", "yields_late")
"""What does not come to its end."""

FAULTS = {
    "exits": "raised SystemExit: 3",
    "interrupts": "raised KeyboardInterrupt",
    "recurses": "raised RecursionError: maximum recursion depth exceeded",
    "returns_text": "returned a value of type str",
    "returns_set": "returned an event that cannot be sent: data.items is of type set; JSON cannot hold that",
    "returns_seconds": "returned an event that cannot be sent: Event.ts looks like seconds",
    "returns_float": "returned an event that cannot be sent: Event.ts is of type float",
    "returns_reserved": "returned an event that cannot be sent: Event.name is 'inngest/made', and inngest/ is reserved",
    "returns_long": "returned an event that cannot be sent: Event.name has 305 characters with its prefix",
    "returns_number": "returned an event that cannot be sent: Event.name is of type int, not str",
    "returns_list": "returned an event that cannot be sent: Event.data is of type list, not dict",
    "never_ends": "returned more than 10000 events for one delivery; let it make fewer",
}
"""What each of them is told to have done wherever it runs, after its own name."""

FATAL = {
    "leaks": "used more than 96 MB; make it use less, or set the source's transform_memory_mb",
    "ends": "had its worker process end, twice: it ended with exit code 3; find in the transform what ends it",
    "crashes": "had its worker process end, twice: it was ended by SIGSEGV; find in the transform what ends it",
    "is_killed": "had its worker process end, twice: it was ended by SIGKILL; find in the transform what ends it",
    "closes": "had its worker process end, twice: it ended with exit code",
    "writes": "wrote into the gateway's own pipe; leave file descriptors that it did not open alone",
}
"""What would end the gateway in a thread, and is survived in a worker process."""
