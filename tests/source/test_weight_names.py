"""What wraps a checkpoint's names is looked through where that leaves no doubt, and said."""

from __future__ import annotations

import pytest

from pocketrec.source.weight_names import hint, renamed, unnested

MODULE = ("item.weight", "mix.0.weight", "mix.0.bias")


@pytest.mark.parametrize(
    ("form", "note"),
    [
        ("module.{}", "its names were read without 'module.' and '_orig_mod.'"),
        ("_orig_mod.{}", "its names were read without 'module.' and '_orig_mod.'"),
        ("module._orig_mod.{}", "its names were read without 'module.' and '_orig_mod.'"),
        ("model.{}", "its names were read without 'model.'"),
        ("net.encoder.{}", "its names were read without 'net.encoder.'"),
        ("model.module.{}", "its names were read without 'model.'"),
    ],
)
def test_a_wrapper_or_a_common_prefix_is_looked_through(form: str, note: str) -> None:
    found, said = renamed([form.format(each) for each in MODULE], MODULE)
    assert found == {form.format(each): each for each in MODULE}
    assert said == f"model.weights: {note}"


def test_a_compiled_part_and_a_compiled_module_are_looked_through() -> None:
    found, _ = renamed(["item.weight", "mix._orig_mod.0.weight", "mix._orig_mod.0.bias"], MODULE)
    assert list(found.values()) == list(MODULE)
    compiled = [f"_orig_mod.{each}" for each in MODULE]
    found, said = renamed(MODULE, compiled)
    assert list(found.values()) == compiled
    assert said


@pytest.mark.parametrize(
    "given",
    [
        MODULE,
        MODULE[:2],  # one is lacking: the loader says which
        ("module.item.weight", "loss.weight"),
        ("module.item.weight", "item.weight"),
        ("a.item.weight", "b.mix.0.weight", "b.mix.0.bias"),
    ],
)
def test_names_stay_where_they_fit_or_where_it_is_not_certain(given: tuple[str, ...]) -> None:
    assert renamed(given, MODULE) == ({each: each for each in given}, "")


def test_a_hint_counts_what_would_fit() -> None:
    given = ["model.item.weight", "model.mix.0.weight", "model.extra"]
    assert hint(given, MODULE) == "; 2 of its 3 names would fit if its names are read without 'model.'"
    assert hint(["x.y"], MODULE) == ""


def test_a_trainers_file_holds_one_state_dict_or_is_left_alone() -> None:
    state = {"item.weight": 1}
    for key in ("state_dict", "model_state_dict", "model"):
        found, note = unnested({"epoch": 3, key: state})
        assert found is state
        assert repr(key) in note
    for other in (state, {"state_dict": state, "model": state}, {"state_dict": 3}, [state]):
        assert unnested(other) == (other, "")
