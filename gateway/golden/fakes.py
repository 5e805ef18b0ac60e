"""Values that stand in for secrets and personal data: as long and of the same kind, equal where those are. Pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Iterator
from string import ascii_lowercase, ascii_uppercase, digits

MIN_CARD, MAX_CARD = 13, 19

_DIGIT = re.compile(r"\d")


class Fakes:
    """Makes stand-ins under a key, without which nobody can tell what one stands for."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def text(self, value: str) -> str:
        """Replace every letter by one of its case and every digit by a digit; the rest stays."""
        stream = self._stream(value)
        return "".join(_alike(char, stream) for char in value)

    def number(self, value: int) -> int:
        """Return a whole number of as many digits."""
        stream = self._stream(str(value))
        rest = str(abs(value))[1:]
        faked = int(str(1 + next(stream) % 9) + "".join(_alike(char, stream) for char in rest))
        return faked if value >= 0 else -faked

    def email(self, value: str) -> str:
        """Return an address at example.com: https://www.rfc-editor.org/rfc/rfc2606."""
        return f"{self.text(value.partition('@')[0])}@example.com"

    def phone(self, value: str) -> str:
        """Return a number written alike, whose country code does not exist."""
        stream = self._stream(value)
        numbers = iter(["9", "9", "9"] if value.startswith("+") else ["9"])
        return _DIGIT.sub(lambda _: next(numbers, None) or digits[next(stream) % 10], value)

    def card(self, value: str) -> str:
        """Return a card number written alike, with a valid check digit, of a range that no bank issues from."""
        count = len(_DIGIT.findall(value))
        stream = self._stream(value)
        body = ("400000" + "".join(digits[next(stream) % 10] for _ in range(count)))[: count - 1]
        whole = iter(next(body + last for last in digits if is_card(body + last, any_range=True)))
        return _DIGIT.sub(lambda _: next(whole), value)

    def ip(self, value: str) -> str:
        """Return an address for documentation: https://www.rfc-editor.org/rfc/rfc5737 and rfc3849."""
        first, second = next(stream := self._stream(value)), next(stream)
        return f"2001:db8::{first:x}{second:02x}" if ":" in value else f"192.0.2.{first}"

    def token(self, value: str) -> str:
        """Return a token with the same prefix, such as sk_live_."""
        prefix = re.match(r"(?:[A-Za-z]{2,6}[_-])+", value)
        end = prefix.end() if prefix else 0
        return value[:end] + self.text(value)[end:]

    def _stream(self, value: str) -> Iterator[int]:
        """Give bytes without end that depend on the key and the value."""
        block = self._key
        while True:
            block = hmac.digest(self._key, block + value.encode(errors="surrogatepass"), hashlib.sha256)
            yield from block


def _alike(char: str, stream: Iterator[int]) -> str:
    if char.isdecimal():
        return digits[next(stream) % 10]
    if not char.isalpha():
        return char
    return (ascii_uppercase if char.isupper() else ascii_lowercase)[next(stream) % 26]


def is_card(text: str, *, any_range: bool = False) -> bool:
    """Tell whether digits are a card number: by length, range and Luhn's check digit (ISO/IEC 7812-1)."""
    numbers = [int(char) for char in _DIGIT.findall(text)]
    if not MIN_CARD <= len(numbers) <= MAX_CARD or (not any_range and numbers[0] not in {2, 3, 4, 5, 6}):
        return False
    doubled = [sum(divmod(2 * number, 10)) for number in numbers[-2::-2]]
    return (sum(numbers[-1::-2]) + sum(doubled)) % 10 == 0


def is_ip(text: str) -> bool:
    """Tell whether a text is the address of a machine, in IPv4 or IPv6."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_LOOKS: dict[str, tuple[str, Callable[[str], bool], Callable[[Fakes, str], str]]] = {
    "e-mail address": (r"(?<![\w.%+'-])[\w.%+'-]{1,64}@[\w-]+(?:\.[\w-]+)+", bool, Fakes.email),
    "token": (
        (
            r"\b(?:(?:sk|rk|pk)_(?:live|test)_\w{8,}|whsec_[\w+/=-]{8,}|xox[a-z]-[\w-]{8,}|gh[a-z]_\w{16,}|"
            r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
        ),
        bool,
        Fakes.token,
    ),
    "card number": (r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w.-])", is_card, Fakes.card),
    "IP address": (
        r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-fA-F]*(?::[\da-fA-F]*){2,7})(?![\w.:])",
        is_ip,
        Fakes.ip,
    ),
    "phone number": (
        r"(?<![\w.+-])(?:\+\d(?:[ ()./-]{0,2}\d){6,14}|\(?0?\d{2,5}\)?[ /-]\d{3,4}[ -]\d{3,5})(?![\w.-])",
        bool,
        Fakes.phone,
    ),
}
_KINDS = tuple(_LOOKS)
_ANY = re.compile("|".join(f"({pattern})" for pattern, _, _ in _LOOKS.values()))


def replace_looks(text: str, fakes: Fakes, tell: Callable[[str], None]) -> str:
    """Return a text with stand-ins for what gives itself away by its look, of which `tell` is told the kind."""

    def stand_in(match: re.Match[str]) -> str:
        kind = _KINDS[(match.lastindex or 1) - 1]
        _, holds, fake = _LOOKS[kind]
        if not holds(match[0]):
            return match[0]
        tell(kind)
        return fake(fakes, match[0])

    return _ANY.sub(stand_in, text)
