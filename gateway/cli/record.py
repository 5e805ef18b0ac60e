"""`gateway record`: a golden pair of a stored delivery, without what is secret or personal in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gateway import recording
from gateway.cli.options import ConfigOption, complain, find_source, line, load_to_look
from gateway.cli.stored import history_of
from gateway.errors import ConfigError, TransformError
from gateway.golden import cases, masking, trial
from gateway.model import Delivery
from gateway.transform import Mapper

MAX_NAME = 60

SourceOption = Annotated[str | None, typer.Option(metavar="SOURCE", help="Whose delivery it is.")]
OutOption = Annotated[Path, typer.Option(metavar="DIR", help="Where the pair goes.")]
NameOption = Annotated[str | None, typer.Option(metavar="CASE", help="The pair's name. Default: after the type.")]
MaskOption = Annotated[list[str] | None, typer.Option(metavar="FIELD", help="Mask this field too (repeatable).")]
KeepOption = Annotated[list[str] | None, typer.Option(metavar="FIELD", help="Keep this field (repeatable).")]
IdsOption = Annotated[bool, typer.Option("--mask-ids", help="Mask ids too.")]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(record)


def record(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The id of a delivery or of one of its events.")],
    *,
    config: ConfigOption = None,
    source: SourceOption = None,
    out: OutOption = Path(),
    name: NameOption = None,
    mask: MaskOption = None,
    keep: KeepOption = None,
    mask_ids: IdsOption = False,
) -> None:
    """Write a golden pair of a stored delivery, its secrets and personal data masked.

    FIELD is a name, wherever it stands, or a path such as customer.vat_id; [record] of the configuration has more of
    them. Tells what was masked: read the pair before you commit it. Exits 1 when the transform fails.
    """
    loaded = load_to_look(config)
    stored = history_of(loaded, identifier, source or "").entry.delivery
    mapper = find_source(loaded, stored.source).mapper.chosen(stored.type)
    rules = masking.Rules(
        (*loaded.record.mask, *(mask or ())),
        (*loaded.record.keep, *(keep or ())),
        ids=mask_ids or loaded.record.mask_ids,
    )
    masked, told = masking.mask(stored, rules)
    path = _free(out, name or _case(stored))
    events = _events(masked, mapper, stored)
    out.mkdir(parents=True, exist_ok=True)
    path.write_bytes(recording.dumps(masked))
    cases.expected(path).write_text(events, encoding="utf-8")
    for place in told:
        line(f"masked {place}")
    line(f"{path}")
    line(f"{cases.expected(path)}")
    line(f'to test it: gateway_golden = ["{out} = {mapper.reference} prefix={mapper.prefix}"]')


def _events(masked: Delivery, mapper: Mapper, stored: Delivery) -> str:
    """Return the events of the masked delivery, as the pytest plugin will make them; warn where they are others."""
    mapper = replace(mapper, routes=(), metadata=False, big_integers="number")
    events = trial.made(masked, mapper, network=True)
    try:
        before = trial.made(stored, mapper, network=True)
    except TransformError:
        return events
    if _names(events) != _names(before):
        complain("masking changed which events are made; keep the field that decides it with --keep", "yellow")
    return events


def _names(events: str) -> list[str]:
    return [event["name"] for event in json.loads(events)]


def _case(delivery: Delivery) -> str:
    return re.sub(r"\W+", "_", delivery.type.lower()).strip("_")[:MAX_NAME] or "delivery"


def _free(folder: Path, name: str) -> Path:
    """Return where the delivery goes. Raises ConfigError where a pair of this name is, or the name is none."""
    path = folder / f"{name}{cases.DELIVERY}"
    if path.parent != folder:
        raise ConfigError([f"--name {name}: it is a path; name the folder with --out"])
    if path.exists() or cases.expected(path).exists():
        raise ConfigError([f"{path}: there is such a pair already; give another name with --name"])
    return path
