"""Slack events, interactions and slash commands become slack/<noun>.<verb>: slack/message.posted, slack/app.mentioned.

The rule: the noun is the longest known one the type begins with, else all before the last underscore; the rest is the
verb, put into the past. What Slack adds later is named by the same rule, and a name once given stays.
"""

from __future__ import annotations

import json
from typing import Any

from gateway import Delivery, Event, Skip

NOUNS = [
    "agent_session",
    "app_home",
    "app",
    "assistant_thread",
    "call",
    "channel",
    "dnd",
    "email_domain",
    "emoji",
    "entity",
    "external_org_migration",
    "file_comment",
    "file",
    "function",
    "grid_migration",
    "group",
    "im",
    "invite",
    "link",
    "message_metadata",
    "pin",
    "reaction",
    "resources",
    "scope",
    "shared_channel_invite",
    "star",
    "subteam",
    "team",
    "tokens",
    "user_resource",
    "user",
    "workflow_step",
    "workflow",
]

PAST = {
    "add": "added",
    "archive": "archived",
    "change": "changed",
    "close": "closed",
    "create": "created",
    "delete": "deleted",
    "execute": "executed",
    "join": "joined",
    "leave": "left",
    "mention": "mentioned",
    "open": "opened",
    "post": "posted",
    "remove": "removed",
    "rename": "renamed",
    "request": "requested",
    "share": "shared",
    "unarchive": "unarchived",
    "update": "updated",
}

EXCEPTIONS = {
    "channel_posting_permissions": "channel.posting_permissions_changed",
    "dnd_updated_user": "dnd.user_updated",
    "file_public": "file.made_public",
    "member_joined_channel": "channel.member_joined",
    "member_left_channel": "channel.member_left",
    "team_join": "team.member_joined",
    "user_connection": "user.connection_requested",
}

EMOJI = {"add": "emoji.added", "remove": "emoji.removed", "rename": "emoji.renamed"}

# New content from someone is one name, whatever it carries; other subtypes tell of a change or of the system.
MESSAGES = {
    None: "message.posted",
    "bot_message": "message.posted",
    "file_share": "message.posted",
    "me_message": "message.posted",
    "thread_broadcast": "message.posted",
    "assistant_app_thread": "message.assistant_app_thread_posted",
    "channel_archive": "message.channel_archived",
    "channel_convert_to_private": "message.channel_converted_to_private",
    "channel_convert_to_public": "message.channel_converted_to_public",
    "channel_join": "message.channel_joined",
    "channel_leave": "message.channel_left",
    "channel_name": "message.channel_renamed",
    "channel_posting_permissions": "message.channel_posting_permissions_changed",
    "channel_purpose": "message.channel_purpose_changed",
    "channel_topic": "message.channel_topic_changed",
    "channel_unarchive": "message.channel_unarchived",
    "document_mention": "message.document_mentioned",
    "file_comment": "message.file_commented",
    "file_mention": "message.file_mentioned",
    "group_archive": "message.group_archived",
    "group_join": "message.group_joined",
    "group_leave": "message.group_left",
    "group_name": "message.group_renamed",
    "group_purpose": "message.group_purpose_changed",
    "group_topic": "message.group_topic_changed",
    "group_unarchive": "message.group_unarchived",
    "message_changed": "message.changed",
    "message_deleted": "message.deleted",
    "message_replied": "message.replied",
    "pinned_item": "message.item_pinned",
    "reminder_add": "message.reminder_added",
    "reply_broadcast": "message.reply_broadcasted",
    "unpinned_item": "message.item_unpinned",
}

INTERACTIONS = {
    "block_actions": "block_action.triggered",
    "dialog_cancellation": "dialog.canceled",
    "dialog_submission": "dialog.submitted",
    "interactive_message": "attachment_action.triggered",
    "message_action": "message_shortcut.invoked",
    "shortcut": "shortcut.invoked",
    "view_closed": "view.closed",
    "view_submission": "view.submitted",
    "workflow_step_edit": "workflow_step.edit_requested",
}


def transform(delivery: Delivery) -> Event | Skip:
    """Put Slack's payload into data unchanged; what Slack needs answered at once cannot be forwarded."""
    if delivery.media_type == "application/x-www-form-urlencoded":
        return _form(delivery.form())
    payload = delivery.json()
    if payload.get("type") == "url_verification":
        return Skip("url_verification is a handshake, answered on receipt")
    return Event(name=_event_name(payload), data=payload)


def _form(fields: dict[str, str]) -> Event | Skip:
    """Tell an interaction by the form's field `payload`; any other form is a slash command."""
    if fields.get("ssl_check") == "1":
        return Skip("ssl_check is a probe of the certificate, answered on receipt")
    if "payload" not in fields:
        return Event(name="command.invoked", data=dict(fields))
    payload = json.loads(fields["payload"])
    kind = payload.get("type")
    if kind in ("block_suggestion", "dialog_suggestion"):
        return Skip(f"{kind} asks for options in the answer, which an event cannot give")
    return Event(name=INTERACTIONS.get(kind, f"interaction.{kind}"), data=payload)


def _event_name(payload: dict[str, Any]) -> str:
    """Name an event by its inner type, and an envelope without one, such as app_rate_limited, by the outer."""
    event = payload.get("event")
    event = event if isinstance(event, dict) else {}
    kind = str(event.get("type") or payload.get("type") or "event")
    subtype = event.get("subtype")
    if kind == "message" or kind.startswith("message."):
        return MESSAGES.get(subtype, f"message.{subtype}")
    if kind == "emoji_changed" and subtype in EMOJI:
        return EMOJI[subtype]
    return EXCEPTIONS.get(kind) or _by_rule(kind)


def _by_rule(kind: str) -> str:
    noun = max((noun for noun in NOUNS if kind.startswith(f"{noun}_")), key=len, default=kind.rpartition("_")[0])
    rest, underscore, last = kind.removeprefix(f"{noun}_").rpartition("_")
    if not noun or not last:
        return f"{kind}.received"
    return f"{noun}.{rest}{underscore}{PAST.get(last, last)}"
