"""Results are kept as dated files, with the machine they were measured on."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent / "results"
_LIBRARIES = ("aiohttp", "apsw", "orjson", "stripe", "structlog", "uvloop")


def machine() -> dict[str, Any]:
    """Describe the machine, without what would tell whose it is."""
    models = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    return {
        "cpu": ", ".join(sorted(models)),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_at_start": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def write(name: str, described: dict[str, Any], measured: dict[str, Any]) -> Path:
    """Keep what was measured as `results/<date>-<name>.json`, in the place of an earlier one of that day."""
    path = FOLDER / f"{datetime.now(UTC):%Y-%m-%d}-{name}.json"
    document = {"machine": described, **measured}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


def newest(name: str) -> dict[str, Any] | None:
    """Return the newest results of a name, with their date."""
    found = sorted(FOLDER.glob(f"????-??-??-{name}.json"))
    return {"date": found[-1].name[:10], **orjson.loads(found[-1].read_bytes())} if found else None
