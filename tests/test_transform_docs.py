"""What docs/transforms.md shows works as it stands there."""

import re
from pathlib import Path

import pytest

from gateway import Event, event_name, providers
from gateway.find import load
from tests.mapped import delivery

PAGE = (Path(__file__).parent.parent / "docs" / "transforms.md").read_text(encoding="utf-8")
NAMES = re.findall(r"^\| (.+) \| `acme/(.+)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("said", "name"), NAMES)
def test_names(said: str, name: str) -> None:
    """Each row of the table of names is what `event_name` makes."""
    assert event_name(*re.findall("`(.+?)`", said)) == name


def test_the_batch(tmp_path: Path) -> None:
    """The transform of the page makes of the body of the page the event that the page tells."""
    [code] = [
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        if "import Delivery, Event, Skip, split" in block
    ]
    (tmp_path / "page_batch.py").write_text(code)
    [body] = re.findall(r"Of `(.+?)` that makes", PAGE)
    made = load("page_batch:transform", tmp_path)(delivery(content=body.encode(), received_at=1_763_719_200_000))
    [item] = delivery(content=body.encode()).json()["events"]
    assert made == [Event("order.paid", item, "acme:e1:order.paid", 1_763_719_200_000)]
    assert f"the id `{made[0].id}`" in PAGE.replace("\n", " ")
    assert NAMES


def test_the_provider_of_the_page() -> None:
    """The provider named there is split by a transform of its own."""
    [name] = re.findall(r'`provider = "(.+?)"` is enough', PAGE)
    assert providers.get(name).transform == f"transforms.{name}:transform"
