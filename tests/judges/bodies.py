"""Bodies at the corners: those that parsers, encoders and frameworks are known to change on the way."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

TEXT = {
    "plain": b'{"id":"evt_1","type":"order.paid","amount":1200}',
    "unicode": '{"name":"Zoë ☃ 𝄞 \u2028","note":"1 < 2 & 3"}'.encode(),
    "escapes": rb'{"name":"Zo\u00eb \ud834\udd1e","url":"https:\/\/example.com\/\u003c"}',
    "crlf": b'{\r\n  "id": "evt_1",\r\n  "tab":\t1.50\r\n}\r\n',
    "megabyte": b'{"data":"' + b"0123456789abcdef" * 65_536 + b'"}',
    "empty": b"",
}
# A notification without content, which is XML in base64.
CHECK = b'<notification><kind>check</kind><subject><check type="boolean">true</check></subject></notification>'
PAYLOADS = {"plain": urlencode({"bt_payload": base64.encodebytes(CHECK)}).encode()}
FORMS = {
    "plain": urlencode({"MessageSid": "SM1", "MessageStatus": "sent", "To": "+15550100"}).encode(),
    "unicode": urlencode({"Body": "Zoë ☃ 𝄞\r\n", "Empty": "", "a b": "1+1=2&c", "A": "%41"}).encode(),
    "repeated": b"Media=b&Media=a&Media=a&MessageStatus=sent&AccountSid=AC1",
    "empty": b"",
}
ITEM = {
    "amount": {"currency": "EUR", "value": 1000},
    "eventCode": "AUTHORISATION",
    "eventDate": "2023-11-14T22:13:20+01:00",
    "merchantAccountCode": "Shop",
    "merchantReference": "Zoë's order",
    "pspReference": "7914073381342284",
    "success": "true",
}
ITEMS = {
    "plain": json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": ITEM}]}).encode(),
    "several": json.dumps(
        {
            "notificationItems": [
                {"NotificationRequestItem": {**ITEM, "originalReference": str(number), "additionalData": {"a": "b"}}}
                for number in range(3)
            ]
        }
    ).encode(),
    "colon": json.dumps(
        {"notificationItems": [{"NotificationRequestItem": {**ITEM, "merchantReference": "a:1"}}]}
    ).encode(),
}
