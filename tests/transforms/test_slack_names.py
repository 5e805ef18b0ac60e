"""Slack's names: the table in slack/event_names.csv is what the transform must say, row by row."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import Delivery, Event, Skip
from gateway.stamp import Stamped, stamp
from tests.mapped import delivery, entry, mapper
from transforms.slack import transform

ROWS = list(csv.DictReader((Path(__file__).parent / "slack/event_names.csv").read_text().splitlines()))
PLAIN = [row for row in ROWS if "*" not in (row["slack_type"], row["subtype"]) and row["slack_type"] != "interactive:*"]
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def event(kind: object, subtype: object = None) -> Delivery:
    """Make a delivery of the Events API."""
    inner = {"type": kind} if subtype is None else {"type": kind, "subtype": subtype}
    return delivery(json.dumps({"type": "event_callback", "event": inner}).encode())


def form(**fields: str) -> Delivery:
    """Make a delivery that is a form."""
    return delivery(urlencode(fields).encode(), headers=FORM)


def interaction(kind: str) -> Delivery:
    """Make a delivery of an interaction."""
    return form(payload=json.dumps({"type": kind}))


def sent(slack_type: str, subtype: str) -> Delivery:
    """Make what Slack sends for a row of the table."""
    match slack_type.partition(":"):
        case "interactive", _, kind:
            return interaction(kind)
        case "command", _, _:
            return form(command="/weather", text="payload=1", trigger_id="1.2.3")
        case "ssl_check", _, _:
            return form(ssl_check="1", token="t", payload='{"type": "shortcut"}')
        case (("url_verification" | "app_rate_limited"), _, _):
            return delivery(json.dumps({"type": slack_type}).encode())
    return event(slack_type, subtype or None)


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: f"{row['slack_type']}-{row['subtype']}")
def test_table(row: dict[str, str]) -> None:
    """Every type, subtype and interaction of the table has its name; one without a name is skipped with a reason."""
    outcome = transform(sent(row["slack_type"], row["subtype"]))
    if not row["event_name"]:
        assert isinstance(outcome, Skip)
        assert outcome.reason
    else:
        assert isinstance(outcome, Event)
        assert f"slack/{outcome.name}" == row["event_name"]


def test_table_is_whole() -> None:
    """Only the three rows that are rules are left out, and two types never share a name."""
    assert (len(ROWS), len(PLAIN)) == (162, 159)
    types = {(row["event_name"], row["slack_type"].partition(".")[0]) for row in PLAIN if row["event_name"]}
    assert len({name for name, _ in types}) == len(types)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("canvas_comment_added", "canvas_comment.added"),
        ("channel_pet_adopt", "channel.pet_adopt"),
        ("channel_topic_change", "channel.topic_changed"),
        ("file_comment_share", "file_comment.shared"),
        ("app_home_tab_update", "app_home.tab_updated"),
        ("user_resource_post", "user_resource.posted"),
        ("imp_seen", "imp.seen"),
        ("goodbye", "goodbye.received"),
        ("app_", "app_.received"),
        ("_app", "_app.received"),
    ],
)
def test_rule_for_unknown_types(kind: str, name: str) -> None:
    """A type that Slack adds is named by its longest known noun, else split at the last underscore."""
    outcome = transform(event(kind))
    assert isinstance(outcome, Event)
    assert outcome.name == name


@given(st.from_regex(r"[a-z_]{1,60}", fullmatch=True), st.none() | st.from_regex(r"[a-z_]{1,40}", fullmatch=True))
def test_unknown_types_never_fail(kind: str, subtype: str | None) -> None:
    """Whatever type and subtype come, one event of the form noun.verb goes out with the payload unchanged."""
    given_delivery = event(kind, subtype)
    stamped = stamp(entry(), mapper(prefix="slack"), transform(given_delivery))
    assert isinstance(stamped, Stamped)
    [made] = stamped.events
    assert re.fullmatch(r"slack/[a-z_]+\.[a-z_]+", made.name)
    assert json.loads(made.body)["data"] == given_delivery.json()


@given(st.from_regex(r"[a-z_]{1,40}", fullmatch=True))
def test_unknown_subtypes_are_kept_verbatim(subtype: str) -> None:
    """A message subtype that the table does not know is the verb as it is."""
    known = {row["subtype"] for row in PLAIN}
    outcome = transform(event("message", subtype))
    assert isinstance(outcome, Event)
    assert subtype in known or outcome.name == f"message.{subtype}"


@given(st.from_regex(r"[a-z_]{1,40}", fullmatch=True))
def test_unknown_interactions_are_kept_verbatim(kind: str) -> None:
    """An interaction that the table does not know is slack/interaction.<type>."""
    known = {row["slack_type"] for row in PLAIN}
    outcome = transform(interaction(kind))
    assert f"interactive:{kind}" in known or outcome == Event(name=f"interaction.{kind}", data={"type": kind})


@pytest.mark.parametrize(
    "payload",
    [{}, {"type": "event_callback"}, {"type": "event_callback", "event": 3}, {"event": {"type": None}}],
    ids=str,
)
def test_incomplete_envelopes_are_forwarded(payload: dict[str, object]) -> None:
    """An envelope without an inner type is named by the outer one, and never fails."""
    outcome = transform(delivery(json.dumps(payload).encode()))
    assert isinstance(outcome, Event)
    assert outcome.name in ("event.received", "event.callback")


def test_command_text_is_not_a_payload() -> None:
    """A slash command whose text mentions payload= is a command, its fields kept as they are."""
    outcome = transform(form(command="/x", text="my payload=here & there"))
    assert outcome == Event(name="command.invoked", data={"command": "/x", "text": "my payload=here & there"})
