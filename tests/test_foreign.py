"""Changes of other libraries last as long as they say, and only for releases that are known."""

from __future__ import annotations

import gc
import os
import random
import tomllib
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pocketrec import foreign
from pocketrec.convert.coreml.patches import COREMLTOOLS
from pocketrec.convert.onnx.patches import ONNXSCRIPT
from pocketrec.convert.watch.patches import TORCH
from pocketrec.errors import WrongVersion
from pocketrec.foreign import (
    Releases,
    environment,
    generators_kept,
    registered,
    replaced,
    seldom_collected,
    torch_threads,
)

KNOWN = Releases(library="numpy", first="1.0", below="99")


@pytest.mark.parametrize(
    ("installed", "first", "below", "holds"),
    [
        ("2.13.0+cpu", "2.9", "2.14", True),
        ("2.9.0", "2.9", "2.14", True),
        ("2.14.0", "2.9", "2.14", False),
        ("2.8.1", "2.9", "2.14", False),
        ("9.1.dev1", "9.0", "10", True),
        ("10.0", "9.0", "10", False),
    ],
)
def test_a_release_is_known_by_its_numbers(
    installed: str, first: str, below: str, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "_installed", lambda _: installed)
    assert Releases(library="torch", first=first, below=below).hold() == holds


def test_another_release_is_one_clear_error_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "_installed", lambda _: "3.1")
    library = SimpleNamespace(__name__="library", value=1)
    with pytest.raises(WrongVersion) as caught, replaced(library, {"value": 2}, releases=TORCH):
        pass
    assert str(caught.value) == (
        "torch 3.1 is installed; library.value is known of releases from 2.9 to below 2.14; run "
        "pip install 'torch>=2.9,<2.14'"
    )
    assert library.value == 1


def test_what_is_installed_is_what_is_asked_for() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    asked = {*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["build"]}
    for each in (COREMLTOOLS, ONNXSCRIPT, TORCH):
        each.check(each.library)
        assert each.requirement in asked


def test_an_attribute_is_back_after_an_error_and_one_that_was_not_there_is_gone() -> None:
    library = SimpleNamespace(old=1)
    seen = {}

    def fail() -> None:
        seen.update(vars(library))
        raise KeyError

    with pytest.raises(KeyError), replaced(library, {"old": 2, "new": 3}, releases=KNOWN):
        fail()
    assert seen == {"old": 2, "new": 3}
    assert vars(library) == {"old": 1}


def test_a_registry_has_its_own_entries_again() -> None:
    registry = {"a": 1, "b": 2}
    with registered(registry, {"b": 3, "c": 4}, releases=KNOWN):
        assert registry == {"a": 1, "b": 3, "c": 4}
        registry["d"] = 5
    assert registry == {"a": 1, "b": 2}


def _changed(library: SimpleNamespace, name: str, value: int) -> AbstractContextManager[None]:
    return replaced(library, {name: value}, releases=KNOWN)


def test_two_threads_never_see_each_others_changes() -> None:
    library = SimpleNamespace(value=0)
    seen = []
    changed = partial(_changed, library)

    def change(value: int) -> None:
        for _ in range(200):
            with replaced(library, {"value": value}, releases=KNOWN), changed("other", value):
                seen.append((value, library.value, library.other))

    threads = [Thread(target=change, args=(each,)) for each in (1, 2, 3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(seen) == 600
    assert all(value == one == other for value, one, other in seen)
    assert vars(library) == {"value": 0}


def test_generators_go_on_where_they_were() -> None:
    def drawn() -> list[float]:
        return [float(torch.rand(1)), float(np.random.rand()), random.random()]  # noqa: NPY002

    with generators_kept():
        expected = drawn()
    with generators_kept(seed=1):
        one = drawn()
    with generators_kept(seed=1):
        assert drawn() == one
    assert drawn() == expected


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "a")
    before = dict(os.environ)
    with environment(KEPT="b", GIVEN="c"):
        os.environ["ADDED"] = "d"
        assert (os.environ["KEPT"], os.environ["GIVEN"]) == ("b", "c")
    assert dict(os.environ) == before


def test_threads_are_as_before() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with torch_threads(0):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("first", "meanwhile"), [(700, 10_000), (0, 0), (50_000, 50_000)])
def test_the_collector_looks_seldom_for_a_while_and_then_as_before(first: int, meanwhile: int) -> None:
    before = gc.get_threshold()
    gc.set_threshold(first, 7, 8)
    try:
        with seldom_collected():
            assert gc.get_threshold() == (meanwhile, 7, 8)
        assert gc.get_threshold() == (first, 7, 8)
    finally:
        gc.set_threshold(*before)
