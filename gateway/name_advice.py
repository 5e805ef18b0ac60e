"""Advise on names of events: `noun.verb`, the verb in the past tense, as an event tells what has happened. Pure."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PAST_OF = {
    "begin": "begun",
    "break": "broken",
    "build": "built",
    "buy": "bought",
    "choose": "chosen",
    "find": "found",
    "get": "got",
    "give": "given",
    "hold": "held",
    "keep": "kept",
    "leave": "left",
    "lose": "lost",
    "make": "made",
    "meet": "met",
    "pay": "paid",
    "read": "read",
    "run": "run",
    "sell": "sold",
    "send": "sent",
    "set": "set",
    "ship": "shipped",
    "split": "split",
    "start": "started",
    "stop": "stopped",
    "submit": "submitted",
    "take": "taken",
    "win": "won",
    "withdraw": "withdrawn",
    "write": "written",
}
_PAST = {*_PAST_OF.values(), "done", "gone", "came", "sold", "went"}
_NOT_PAST = {"bed", "embed", "exceed", "feed", "need", "proceed", "seed", "speed", "succeed"}
_REGULAR = {
    *("accept", "add", "approve", "archive", "assign", "cancel", "change", "close"),
    *("complete", "confirm", "create", "delete", "deliver", "enable", "expire", "fail"),
    *("finish", "invite", "merge", "move", "open", "place", "publish", "push"),
    *("receive", "refund", "register", "reject", "remove", "rename", "request", "resolve"),
    *("return", "update", "upload"),
}


def advise(name: str) -> str:
    """Say how a name could be better; empty for one that is `noun.verb` in the past tense, with or without a prefix."""
    own = name.rpartition("/")[2]
    noun, dot, verb = own.rpartition(".")
    if not dot:
        return f"{own} does not tell what happened to what; write it as noun.verb, such as order.created"
    words = [word.lower() for word in _WORD.findall(verb)]
    if any(map(_is_past, words)):
        return ""
    better = f"{noun}.{past}" if (past := _past(verb)) else "the verb in the past tense, as in order.created"
    return f"{own} does not end with what has happened; write {better}"


def _is_past(word: str) -> bool:
    return word in _PAST or (word.endswith("ed") and word not in _NOT_PAST)


def _past(verb: str) -> str:
    """Return the past participle of a verb that is well known, else nothing."""
    if verb in _PAST_OF:
        return _PAST_OF[verb]
    if verb in _REGULAR:
        return f"{verb}d" if verb.endswith("e") else f"{verb}ed"
    return ""
