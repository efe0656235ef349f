"""Golden vectors as text: every number comes back to the bit, and whatever says otherwise is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.errors import ArtifactError
from pocketrec.package.bundle import Bundle, read_bundle, seal
from pocketrec.package.golden import Vector, check_golden_text, read_golden, write_golden
from pocketrec.package.golden_text import step_of, text_name, to_text

EDGES = np.array(
    [
        0.0,
        -0.0,
        0.1,
        1 / 3,
        16777216.0,
        3.4028235e38,
        1e-45,
        -1.1754944e-38,
        9.8e-39,
        np.inf,
        -np.inf,
        np.nan,
    ],
    np.float32,
).reshape(3, 4)
VECTORS = (
    Vector(
        name="00",
        inputs={
            "ids": np.array([[0, 2**31 - 1, -(2**31)]], np.int32),
            "times": np.array([2**63 - 1, -(2**63)], np.int64),
            "mask": np.array([[True, False]]),
        },
        outputs={"scores": EDGES, "one": np.array(0.2, np.float32)},
    ),
    Vector(name="01", inputs={"ids": np.zeros((1, 0), np.int32)}, outputs={}),
)


def bundle(folder: Path, vectors: tuple[Vector, ...] = VECTORS, function: str = "main") -> Bundle:
    folder.mkdir(exist_ok=True)
    write_golden(folder, {function: vectors}, {})
    seal(folder, name="example", version="1", artifacts={})
    return read_bundle(folder)


def text_of(bundle: Bundle, function: str = "main") -> Any:
    return json.loads((bundle.path / text_name(function)).read_text())


def numbers(tensor: dict[str, Any]) -> Any:
    """A tensor as a reader without our code takes it."""
    words = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}
    return np.array([words.get(each, each) for each in tensor["data"]], tensor["dtype"])


def test_text_and_safetensors_agree_and_a_plain_reader_gets_the_same_bits(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    check_golden_text(made, "main", read_golden(made, "main"))
    found = text_of(made)
    assert (found["schema"], found["function"], found["left_out"]) == (1, "main", [])
    first = found["vectors"][0]
    assert first["inputs"]["times"]["data"] == [2**63 - 1, -(2**63)]
    assert first["inputs"]["mask"] == {"dtype": "bool", "shape": [1, 2], "step": 1, "data": [True, False]}
    scores = first["outputs"]["scores"]
    assert (scores["shape"], scores["data"][-3:]) == ([3, 4], ["inf", "-inf", "nan"])
    assert numbers(scores).tobytes() == EDGES.tobytes()
    assert first["outputs"]["one"] == {"dtype": "float32", "shape": [], "step": 1, "data": [0.2]}
    assert found["vectors"][1]["inputs"]["ids"]["data"] == []


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=50))
def test_any_float32_comes_back_from_its_text(values: list[float]) -> None:
    own = np.array(values, np.float32)
    (vector,) = json.loads(to_text("main", {"a": ({}, {"y": own})}))["vectors"]
    assert numbers(vector["outputs"]["y"]).tobytes() == own.tobytes()


def test_a_text_that_two_roundings_would_change_is_written_longer() -> None:
    """A float64 exactly between two float32s goes to the even one, whatever the decimals were."""
    own = np.array([1.00000017881393421514957253748434595763683319091796875001], np.float32)
    (vector,) = json.loads(to_text("main", {"a": ({}, {"y": own})}))["vectors"]
    assert np.float32(vector["outputs"]["y"]["data"][0]) == own[0]


def test_an_output_of_very_many_numbers_is_sampled_from_all_its_columns(tmp_path: Path) -> None:
    large = np.arange(6 * 100_000, dtype=np.float32).reshape(6, 100_000)
    made = bundle(tmp_path, (Vector(name="a", inputs={}, outputs={"y": large}),))
    check_golden_text(made, "main", read_golden(made, "main"))
    tensor = text_of(made)["vectors"][0]["outputs"]["y"]
    assert tensor["step"] == 3
    assert tensor["data"] == large.reshape(-1)[::3].tolist()
    assert (made.path / text_name("main")).stat().st_size < 4_000_000


@pytest.mark.parametrize(
    ("shape", "most", "step"), [((10,), 10, 1), ((10,), 9, 3), ((4, 6), 6, 5), ((), 5, 1), ((0, 3), 1, 1)]
)
def test_steps_are_no_larger_than_they_must_and_share_no_factor_with_a_row(
    shape: tuple[int, ...], most: int, step: int
) -> None:
    assert step_of(shape, most) == step


def test_a_vector_with_inputs_of_very_many_numbers_is_named_and_left_out(tmp_path: Path) -> None:
    large = Vector(name="large", inputs={"x": np.zeros(70_000, np.float32)}, outputs={})
    made = bundle(tmp_path, (*VECTORS, large))
    check_golden_text(made, "main", read_golden(made, "main"))
    assert text_of(made)["left_out"] == ["large"]
    assert [each["name"] for each in text_of(made)["vectors"]] == ["00", "01"]


@pytest.mark.parametrize("function", ["golden", "api"])
def test_no_function_takes_the_name_of_another_file(function: str, tmp_path: Path) -> None:
    made = bundle(tmp_path, function=function)
    check_golden_text(made, function, read_golden(made, function))
    assert "functions" in json.loads((tmp_path / "golden/golden.json").read_text())


def test_a_bundle_without_the_text_has_nothing_to_contradict(tmp_path: Path) -> None:
    bundle(tmp_path)
    (tmp_path / text_name("main")).unlink()
    seal(tmp_path, name="example", version="1", artifacts={})
    check_golden_text(read_bundle(tmp_path), "main", VECTORS)


Change = Callable[[dict[str, Any]], object]


def edit(*path: str | int, to: object) -> Change:
    def change(table: dict[str, Any]) -> None:
        place: Any = table
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


SCORES = ("vectors", 0, "outputs", "scores")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(*SCORES, "data", 2, to=0.1000001), "00, outputs, scores: other numbers than the other file"),
        (edit(*SCORES, "data", 1, to=0.0), "00, outputs, scores: other numbers"),
        (edit(*SCORES, "data", 11, to="inf"), "00, outputs, scores: other numbers"),
        (edit(*SCORES, "data", 5, to=1e300), "00, outputs, scores: other numbers"),
        (edit(*SCORES, "data", 0, to=True), "00, outputs, scores: 'True' is no float32"),
        (edit(*SCORES, "data", 0, to="infinity"), "00, outputs, scores: 'infinity' is no float32"),
        (edit(*SCORES, "data", to=[]), "00, outputs, scores: other numbers"),
        (edit(*SCORES, "data", to=None), "00, outputs, scores: 'None' is no float32"),
        (edit(*SCORES, "data", to=[[0.0]]), "00, outputs, scores: '[0.0]' is no float32"),
        (edit(*SCORES, "step", to=0), "00, outputs, scores: float32 [3, 4] by steps of 0"),
        (edit(*SCORES, "step", to=13), "00, outputs, scores: float32 [3, 4] by steps of 13"),
        (edit(*SCORES, "shape", to=[4, 3]), "00, outputs, scores: float32 [4, 3] by steps of 1; expected"),
        (edit(*SCORES, "dtype", to="float64"), "dtype is 'float64'; expected one of"),
        (edit("vectors", 0, "inputs", "ids", "data", 0, to=1.0), "00, inputs, ids: '1.0' is no int32"),
        (edit("vectors", 0, "inputs", "ids", "data", 0, to=2**40), "too large"),
        (edit("vectors", 0, "inputs", "ids", "step", to=3), "00, inputs, ids: int32 [1, 3] by steps of 3"),
        (edit("vectors", 0, "inputs", to={}), "00, inputs: []; the other file has ['ids', 'mask', 'times']"),
        (edit("vectors", 0, "name", to="02"), "has vectors ['01', '02']; the other file has ['00', '01']"),
        (edit("vectors", to=[]), "has vectors []; the other file has ['00', '01']"),
        (edit("function", to="other"), "is of function 'other'; expected 'main'"),
        (lambda table: table.update(vectors=[], left_out=["00", "01"]), "leaves out ['00', '01'], which"),
        (
            lambda table: table.update(vectors=table["vectors"][:1], left_out=["01"]),
            "leaves out ['01'], which it has room for",
        ),
        (
            lambda table: table["vectors"][0]["outputs"]["scores"].update(step=12, data=[0.0]),
            "by steps of 12; expected float32 [3, 4] by steps of 1",
        ),
        (edit("more", to=1), "more is not a known key"),
    ],
)
def test_a_text_that_says_something_else_is_named(change: Change, message: str, tmp_path: Path) -> None:
    made = bundle(tmp_path)
    table = text_of(made)
    change(table)
    (tmp_path / text_name("main")).write_text(json.dumps(table))
    with pytest.raises(ArtifactError) as caught:
        check_golden_text(made, "main", read_golden(made, "main"))
    assert str(caught.value).startswith(f"{text_name('main')}: ")
    assert message in str(caught.value)
