"""What one verification costs: every level-1 scheme beside slack_sdk's verifier, interleaved, on one 4 KB body.

Run it with `.venv/bin/python -m benchmarks.verification`; it ends with 1 when a median is over the budget of 12 µs, or
when Slack's scheme takes longer than slack_sdk. Times are medians of single calls, in microseconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

from slack_sdk.signature import Clock, SignatureVerifier

from gateway.model import Request
from gateway.scheme import Scheme
from gateway.signatures import compile_check, signed_request

BUDGET_US = 12.0
ROUNDS = 4_000
NOW = 1_700_000_000_000
BODY = (b'{"id":"evt_1","type":"order.created","data":"' + b"x" * 4_096)[:4_094] + b'"}'
KEY = b"an example key of thirty-two byt"
TIME = ("x-time", str(NOW // 1000))
COMMON = (
    ("host", "hooks.example.com"),
    ("user-agent", "Sender/1.0"),
    ("accept", "*/*"),
    ("content-type", "application/json"),
    ("content-length", str(len(BODY))),
    ("x-forwarded-for", "192.0.2.1"),
    ("x-forwarded-proto", "https"),
)
ITEMS = {"separator": ",", "assign": "=", "key": "v1"}
SLACK = Scheme(header="X-Slack-Signature", prefix="v0=", signed="v0:{timestamp}:{body}", timestamp="header:X-Time")
SCHEMES = {
    "slack": SLACK,
    "hex": Scheme(header="X-Signature"),
    "hex after a prefix": Scheme(header="X-Signature", prefix="sha256="),
    "hex, SHA-1": Scheme(header="X-Signature", algorithm="sha1"),
    "hex, SHA-512": Scheme(header="X-Signature", algorithm="sha512"),
    "base64": Scheme(header="X-Signature", encoding="base64"),
    "base64url": Scheme(header="X-Signature", encoding="base64url"),
    "list of keys and values": Scheme(
        header="X-Signature",
        signed="{timestamp}.{body}",
        timestamp="sig:t",
        **ITEMS,  # type: ignore[arg-type]
    ),
    "list by position": Scheme(
        header="X-Signature", separator=",", positional=("t",), signed="{sig:t}.{body}", timestamp="sig:t"
    ),
    "milliseconds": Scheme(
        header="X-Signature", signed="{timestamp}{body}", timestamp="header:X-Ms", timestamp_unit="ms"
    ),
    "ISO 8601": Scheme(
        header="X-Signature", signed="{body}{timestamp}", timestamp="header:X-Iso", timestamp_unit="iso8601"
    ),
    "Standard Webhooks": Scheme(
        header="Webhook-Signature",
        encoding="base64",
        separator=" ",
        assign=",",
        key="v1",
        signed="{id}.{timestamp}.{body}",
        id="header:X-Id",
        timestamp="header:X-Time",
    ),
    "two headers": Scheme(header="X-Signature", also=("X-Signature-2",), encoding="base64"),
}


def sample(scheme: Scheme) -> Request:
    """Return a genuine request of a scheme."""
    more = (TIME, ("x-ms", str(NOW)), ("x-iso", "2023-11-14T22:13:20Z"), ("x-id", "msg_2Lh9KRb0pzN4LePd3XiA4v12Axj"))
    request = Request("POST", "/webhooks/x", "", (*COMMON, *more), BODY, NOW)
    return signed_request(request, scheme, KEY, {"t": TIME[1]} if "sig:t" in scheme.timestamp else {})


def by_slack() -> Callable[[], object]:
    """Return slack_sdk's verification of the same body, with the headers as a dict."""

    class Fixed(Clock):
        def now(self) -> float:
            return NOW / 1000

    request = sample(SLACK)
    headers = {**dict(request.headers), "x-slack-request-timestamp": TIME[1]}
    verifier = SignatureVerifier(KEY.decode(), Fixed())
    if not verifier.is_valid_request(BODY, headers):
        raise SystemExit("slack_sdk refuses the sample")
    return lambda: verifier.is_valid_request(BODY, headers)


def by_gateway(scheme: Scheme) -> Callable[[], object]:
    """Return our verification of a genuine request."""
    check, request = compile_check(scheme, [KEY]), sample(scheme)
    if check(request, NOW) is None:
        raise SystemExit("the gateway refuses the sample")
    return lambda: check(request, NOW)


def measure(subjects: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median of each, all taken in turns, so that what else the machine does meets all alike."""
    times: dict[str, list[int]] = {name: [] for name in subjects}
    clock = time.perf_counter_ns
    for _ in range(ROUNDS):
        for name, subject in subjects.items():
            begin = clock()
            subject()
            times[name].append(clock() - begin)
    return {name: median(taken) / 1000 for name, taken in times.items()}


def main() -> int:
    """Print the table; tell whether all is within the budget."""
    found = measure({"slack_sdk": by_slack(), **{name: by_gateway(scheme) for name, scheme in SCHEMES.items()}})
    for name, taken in found.items():
        print(f"{name:26} {taken:6.2f} µs")  # noqa: T201 - the output of a script
    within = max(taken for name, taken in found.items() if name != "slack_sdk") <= BUDGET_US
    return 0 if within and found["slack"] <= found["slack_sdk"] else 1


if __name__ == "__main__":
    sys.exit(main())
