"""Finding a transform: by module and function beside the configuration, or as an installed entry point."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import Skip
from gateway.errors import TransformError
from gateway.transform import load
from tests.mapped import delivery

GOOD = "from gateway import Skip\n\ndef transform(delivery):\n    return Skip(delivery.id)\n"


@pytest.fixture(autouse=True)
def _imports_are_forgotten() -> Iterator[None]:
    """Undo what a test imports."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return a function that writes files into a configuration's folder."""

    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / name.replace("__dot__", ".").replace("__in__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def installed(folder: Folder, package: str, *lines: str) -> Path:
    """Write the metadata of an installed package that offers transforms."""
    text = "\n".join(["[gateway.transforms]", *lines])
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n"
    info = f"{package}-1__dot__dist-info__in__"
    return folder(**{f"{info}entry_points__dot__txt": text, f"{info}METADATA": metadata})


def fault(reference: str, folder: Path | None = None) -> str:
    """Return the sentence with which a reference is refused."""
    with pytest.raises(TransformError) as caught:
        load(reference, folder)
    return str(caught.value)


def test_module_beside_the_configuration(folder: Folder) -> None:
    """A module in the configuration's folder is found, in packages too, and the folder is put on the path once."""
    place = folder(acme_one__dot__py=GOOD, acme_pack__in__sub__in__two__dot__py=GOOD)
    assert load("acme_one:transform", place)(delivery(id="d-7")) == Skip("d-7")
    assert load("acme_pack.sub.two:transform", place)(delivery()) == Skip("d-1")
    assert sys.path.count(str(place.resolve())) == 1


def test_module_written_after_a_failed_load(folder: Folder) -> None:
    """A module that was missing is found once it has been written, even within one tick of the file system's clock."""
    place = folder()
    assert "there is no module acme_late" in fault("acme_late:transform", place)
    before = place.stat()
    folder(acme_late__dot__py=GOOD)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert callable(load("acme_late:transform", place))


def test_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named by its path is a module of its own, whose neighbours it imports and whose folder is on no path."""
    own = "from .common import REASON\nfrom gateway import Skip\n\ndef transform(delivery):\n    return Skip(REASON)\n"
    place = folder(
        one__in__acme__dot__py=own,
        one__in__common__dot__py="REASON = 'one'\n",
        two__in__acme__dot__py=own,
        two__in__common__dot__py="REASON = 'two'\n",
        two__in____init____dot__py=GOOD,
    )
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before = list(sys.path)
    assert load("./one/acme.py:transform", place)(delivery()) == Skip("one")
    assert load("two/acme.py:transform", place)(delivery()) == Skip("two")
    assert load(f"{place}/two/acme.py:transform") is load("./two/../two/acme.py:transform", place)
    assert load("./two/__init__.py:transform", place)(delivery()) == Skip("d-1")
    assert sys.path == [*before, str(place.resolve())]
    assert not list(place.rglob("__pycache__"))


def test_faults_of_a_file(folder: Folder) -> None:
    """What is wrong with a file or its name is said with its path, or with the line."""
    place = folder(
        acme__dot__py="def transfrom(d): ...\n",
        broken__dot__py="\n1 / 0\n",
        lonely__dot__py="from .nobody import x\n",
        bad__in____init____dot__py="1 / 0\n",
        bad__in__acme__dot__py=GOOD,
    )
    said = "./acme.py has no function transform; did you mean transfrom?"
    assert said in fault("./acme.py:transform", place)
    assert f"there is no file {place / 'none.py'}; correct it" in fault("./none.py:transform", place)
    assert f"raised ZeroDivisionError: division by zero ({place / 'broken.py'}:2)" in fault("broken.py:x", place)
    assert f"({place / 'lonely.py'}:1)" in fault("./lonely.py:x", place)
    assert f"division by zero ({place / 'bad' / '__init__.py'}:1)" in fault("./bad/acme.py:transform", place)
    for reference in ("./acme:transform", "./acme.txt:transform", "./a.b.py:transform", "/:transform"):
        assert "is not a reference to a module; name a file such as ./transforms/acme.py" in fault(reference, place)


def test_shipped_transforms() -> None:
    """The shipped transforms are found without a folder."""
    assert load("transforms.stripe:transform").__module__ == "transforms.stripe"


def test_entry_point(folder: Folder) -> None:
    """The name of an installed entry point is a reference."""
    folder(acme_installed__dot__py=GOOD)
    place = installed(folder, "acme_dist", "acme-orders = acme_installed:transform")
    assert load("acme-orders", place)(delivery()) == Skip("d-1")


@pytest.mark.parametrize(
    ("code", "function", "sentence"),
    [
        ("def transfrom(d): ...", "transform", "has no function transform; did you mean transfrom?"),
        ("def a(d): ...\ndef b(d): ...", "transform", "has no function transform; there is a, b"),
        ("", "transform", "has no function transform; there is none"),
        ("transform = {}", "transform", "is of type dict; name a function"),
        ("def transform(): ...", "transform", "takes (); a transform takes one argument, the delivery"),
        ("def transform(a, b): ...", "transform", "takes (a, b); a transform takes one argument, the delivery"),
        ("\n\n1 / 0", "transform", "its module raised ZeroDivisionError: division by zero ({file}:3)"),
        ("raise SystemExit(3)", "transform", "its module raised SystemExit: 3 ({file}:1)"),
        ("\ndef f(:\n", "transform", "its module raised SyntaxError: invalid syntax ({file}:2)"),
        ("import no_such_thing", "transform", "raised ModuleNotFoundError: No module named 'no_such_thing' ({file}:1)"),
        ("raise ModuleNotFoundError", "transform", "its module raised ModuleNotFoundError ({file}:1)"),
        ("import json\njson.loads('')", "transform", "Expecting value: line 1 column 1 (char 0) ({file}:2)"),
        ("raise ValueError('x' * 900)", "transform", "xxx… ({file}:1)"),
        ("raise ValueError('a\\nb\\ud800')", "transform", r"ValueError: a b\ud800 ({file}:1)"),
    ],
)
def test_faults_of_a_module(code: str, function: str, sentence: str, folder: Folder) -> None:
    """What is wrong in a user's module is one sentence with its file and line, of bounded length."""
    place = folder(acme_faulty__dot__py=code)
    said = fault(f"acme_faulty:{function}", place)
    assert said.startswith("transform 'acme_faulty:transform' ")
    assert sentence.replace("{file}", str(place / "acme_faulty.py")) in said
    assert len(said) <= 500
    assert "\n" not in said


def test_faults_of_a_reference(folder: Folder) -> None:
    """What cannot be found is said with the place looked into and what to write instead."""
    place = folder(acme_single__dot__py=GOOD, transforms__in__acme__dot__py=GOOD)
    form = "write package.module:function, ./file.py:function, or the name of an installed transform"
    for reference in ("acme_single:", ":transform", "acme single:x", ".relative:x", "a:b:c", "acme_single:a.b"):
        assert fault(reference, place) == f"transform {reference!r} is not a reference; {form}"
    assert "acme_single is a single module, so there is no deeper in it" in fault("acme_single.deeper:x", place)
    hidden = fault("transforms.acme:transform", place)
    assert "has no module acme; correct the name, or rename your own package if that one hides it" in hidden


def test_faults_of_entry_points(folder: Folder) -> None:
    """An entry point that is unknown, offered twice or broken is named with the fix."""
    folder(acme_good__dot__py=GOOD, acme_bad__dot__py="1 / 0")
    installed(folder, "acme_a", "acme-twice = acme_good:transform", "acme-gone = acme_nowhere:transform")
    place = installed(folder, "acme_b", "acme-twice = acme_bad:transform", "acme-bad = acme_bad:transform")
    assert "is not installed; did you mean acme-twice?" in fault("acme-twic", place)
    assert fault("acme-twice") == (
        "transform 'acme-twice' is offered by several packages; write acme_bad:transform or acme_good:transform"
    )
    assert "is installed as acme_nowhere:transform, and that module is missing" in fault("acme-gone")
    assert f"raised ZeroDivisionError: division by zero ({place / 'acme_bad.py'}:1)" in fault("acme-bad")


def test_functions_in_c_are_taken_as_they_are() -> None:
    """A function that does not tell its arguments is given the benefit of the doubt."""
    assert load("builtins:dict").__name__ == "dict"


@given(st.text(max_size=40))
def test_arbitrary_references(reference: str) -> None:
    """Whatever stands in the configuration, the answer is a sentence."""
    if ":" in reference and reference.isascii():
        reference = "no." + reference
    assert fault(reference).startswith("transform ")
