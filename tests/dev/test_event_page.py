"""The page and the list on which people see what arrived."""

import json
from html.parser import HTMLParser

import pytest

from gateway.dev.event_api import LocalEventApi
from gateway.dev.event_page import MAX_DATA_CHARACTERS, MAX_ROWS
from tests.dev.conftest import NOW, Post

HOSTILE = '<script>alert("1")</script>&\'"><img src=x>'


class Seen(HTMLParser):
    """What a browser would make of a page: its elements and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


async def page(post: Post) -> Seen:
    """Read the page."""
    answered = await post(b"", path="/", method="GET")
    assert answered.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answered.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    return Seen(answered.body)


async def test_an_empty_page_says_so(post: Post) -> None:
    """There is no table without events."""
    seen = await page(post)
    assert "No events yet." in seen.text
    assert "table" not in seen.tags


async def test_events_are_listed_newest_first(post: Post) -> None:
    """Name, id, time, data and what becomes of its run are shown for each event."""
    await post(b'{"name":"stripe/customer.created","id":"stripe:evt_1","data":{"amount":4900}}')
    await post(b'{"name":"github/push","id":"stripe:evt_1"}')
    await post(b'{"name":"slack/message.posted","ts":%d}' % (NOW + 60_000))
    text = (await page(post)).text
    names = ["slack/message.posted", "github/push", "stripe/customer.created"]
    assert sorted(names, key=text.index) == names
    assert [text.count(word) for word in ("duplicate", "scheduled", "starts", "stripe:evt_1")] == [1, 1, 1, 2]
    assert all(shown in text for shown in ("3 events.", "03:00:00", "2026-11-21 03:01:00", '"amount": 4900'))


@pytest.mark.parametrize("field", ["name", "id", "data"])
async def test_values_are_escaped(post: Post, field: str) -> None:
    """Hostile text is shown as text and makes no element."""
    event = {"name": "a", field: {HOSTILE: HOSTILE} if field == "data" else HOSTILE}
    await post(json.dumps(event).encode())
    seen = await page(post)
    assert not {"script", "img"} & set(seen.tags)
    assert "<script>" in seen.text


async def test_the_page_stays_small(api: LocalEventApi, post: Post) -> None:
    """Only the newest rows are shown, and of long data the beginning."""
    await post(json.dumps([{"name": f"n{number}"} for number in range(MAX_ROWS + 1)]).encode())
    await post(json.dumps({"name": "long", "data": {"x": "y" * MAX_DATA_CHARACTERS}}).encode())
    seen = await page(post)
    assert "202 events. The newest 200 are shown." in seen.text
    assert seen.tags.count("details") == MAX_ROWS
    assert "more characters" in seen.text


async def test_a_time_beyond_the_calendar_is_shown(post: Post) -> None:
    """Nanoseconds, which the event API takes by an overflow, do not break the page."""
    assert (await post(b'{"name":"a","ts":1700000000000000000}')).status == 200
    assert "beyond the calendar" in (await page(post)).text


async def test_events_as_json(api: LocalEventApi, post: Post) -> None:
    """The list has what is stored, in order of arrival, and no raw bytes."""
    await post(b'[{"name":"a","id":"i","data":{"b":[1.0]}},{"name":"c"}]')
    answered = await post(b"", path="/events", method="GET")
    listed = json.loads(answered.body)
    assert listed["total"] == 2
    first = api.events[0]
    assert listed["events"][0] == {
        "internal_id": first.internal_id,
        "name": "a",
        "id": "i",
        "ts": NOW,
        "v": "",
        "data": {"b": [1]},
        "request": 1,
        "received_at": NOW,
        "starts_run": True,
    }
