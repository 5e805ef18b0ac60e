"""Which source a path names."""

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway import arrival


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/webhooks/stripe", ("stripe", "")),
        ("/webhooks/stripe/", ("stripe", "")),
        ("/webhooks/stripe?a=/b", ("stripe", "")),
        ("/webhooks/stripe/token", ("stripe", "token")),
        ("/webhooks/stripe/token/", ("stripe", "token")),
        ("/webhooks/str%69pe/t%2Fn", ("stripe", "t/n")),
        ("/webhooks/stripe//", None),
        ("/webhooks//token", None),
        ("/webhooks/stripe/token/more", None),
        ("/webhooks/", None),
        ("/webhooks", None),
        ("/webhooksstripe", None),
        ("/other/webhooks/stripe", None),
        ("/", None),
    ],
)
def test_places(path: str, place: tuple[str, str] | None) -> None:
    """A source has one path, with or without a token and a slash at its end."""
    assert arrival.place_of(make_mocked_request("POST", path)) == place
