"""coremltools' own `MLModel.predict` on the interpreter, under the framework's conventions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import types
from coremltools.models import model as coremltools_model
from tests.validate.conftest import IOS18, PROGRAM_TABLE, convert, score_program

from pocketrec.errors import InputError
from pocketrec.validate.coreml_program import install, uninstall

EXAMPLE = Path(__file__).parents[3] / "docs/examples/coreml_predict.py"
IDS = np.array([0, 5, 11], np.int32)


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    install(replace_framework=True)
    yield
    uninstall()


def saved(program: Any, path: Path, **options: Any) -> Any:
    convert(program, **options).save(str(path))
    return ct.models.MLModel(str(path))


def build(body: Any, *specs: Any, **options: Any) -> Any:
    return convert(mb.program(input_specs=list(specs), opset_version=IOS18)(body), **options)


def test_the_documented_example_prints_its_predictions() -> None:
    """Multifunction and stateful models in a process of their own, as a reader runs it."""
    done = subprocess.run([sys.executable, str(EXAMPLE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["user (1, 8)", "item (1, 8)", "[4.]", "[14.]", "[10.]"]


def scaled(factor: int) -> Any:
    specs = [mb.TensorSpec((2,))]
    return mb.program(input_specs=specs, opset_version=IOS18)(
        lambda x: mb.mul(x=x, y=np.float32(factor), name="y")
    )


def test_a_function_is_chosen_by_name(tmp_path: Path) -> None:
    """Each function has its own program and features; an unknown one names those that there are."""
    description = ct.utils.MultiFunctionDescriptor()
    for name, factor in (("once", 1), ("twice", 2)):
        saved(scaled(factor), tmp_path / f"{name}.mlpackage")
        description.add_function(str(tmp_path / f"{name}.mlpackage"), "main", name)
    description.default_function_name = "once"
    path = str(tmp_path / "both.mlpackage")
    ct.utils.save_multifunction(description, path)
    x = {"x": np.array([1, 2], np.float32)}
    np.testing.assert_array_equal(ct.models.MLModel(path).predict(x)["y"], [1, 2])
    np.testing.assert_array_equal(ct.models.MLModel(path, function_name="twice").predict(x)["y"], [2, 4])
    with pytest.raises(ValueError, match="thrice"):
        ct.models.MLModel(path, function_name="thrice").predict(x)


def accumulator() -> Any:
    def body(x: Any, s: Any) -> Any:
        total = mb.add(x=mb.read_state(input=s), y=x)
        return mb.identity(x=mb.coreml_update_state(state=s, value=total), name="y")

    return build(
        body,
        mb.TensorSpec((2,), dtype=types.fp16),
        mb.StateTensorSpec((2,), dtype=types.fp16),
        precision="FLOAT16",
    )


def test_states_are_objects_that_predictions_update(tmp_path: Path) -> None:
    """Two states do not know of each other; they are read and written by name."""
    model, x = accumulator(), {"x": np.array([1, 2], np.float16)}
    one, other = model.make_state(), model.make_state()
    model.predict(x, state=one)
    np.testing.assert_array_equal(model.predict(x, state=one)["y"], [2, 4])
    np.testing.assert_array_equal(model.predict(x, state=other)["y"], [1, 2])
    np.testing.assert_array_equal(one.read_state("s"), [2, 4])
    one.write_state("s", np.array([10, 20], np.float32))
    np.testing.assert_array_equal(model.predict(x, state=one)["y"], [11, 22])
    with pytest.raises(InputError, match="no state 't'; expected one of s"):
        one.read_state("t")
    with pytest.raises(InputError, match=r"state 's' has shape \[3\]; expected \[2\]"):
        one.write_state("s", np.zeros(3))
    with pytest.raises(InputError, match=r"has states; pass state=model\.make_state"):
        model.predict(x)


@pytest.mark.parametrize("precision", ["FLOAT32", "FLOAT16"])
def test_outputs_have_the_features_names_and_dtypes(tmp_path: Path, precision: str) -> None:
    """float16 outputs come back as float32; numbers are cast to what the input declares."""
    model = saved(score_program(), tmp_path / "m.mlpackage", precision=precision)
    found = model.predict({"ids": IDS.astype(np.float64)})
    assert {name: value.dtype for name, value in found.items()} == {"scores": np.float32}
    np.testing.assert_allclose(
        found["scores"], PROGRAM_TABLE[IDS] @ PROGRAM_TABLE.T, atol=1e-5 if precision == "FLOAT32" else 0.02
    )


def test_a_scalar_comes_back_as_an_array_of_one_number() -> None:
    """The framework has no arrays without axes, so what a program reduces to a scalar has one."""
    model = build(lambda x: mb.reduce_sum(x=x, keep_dims=False, name="y"), mb.TensorSpec((2, 3)))
    (given,) = model.predict({"x": np.full((2, 3), 2, np.float32)}).values()
    assert given.shape == (1,)
    assert given.tolist() == [12.0]


def test_float16_inputs_are_rounded_and_come_back_as_float32() -> None:
    model = build(
        lambda x: mb.identity(x=x, name="y"), mb.TensorSpec((2,), dtype=types.fp16), precision="FLOAT16"
    )
    y = model.predict({"x": np.array([1.0001, 1e9], np.float32)})["y"]
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, [1, np.inf])


def test_int32_inputs_hold_what_they_can_and_refuse_the_rest() -> None:
    model = build(lambda x: mb.add(x=x, y=np.int32(1), name="y"), mb.TensorSpec((2,), dtype=types.int32))
    y = model.predict({"x": np.array([1, 2**31 - 2])})["y"]
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, [2, 2**31 - 1])
    with pytest.raises(InputError, match=r"'x' holds 0 to 2147483648; expected what int32 can hold"):
        model.predict({"x": np.array([0, 2**31])})


def test_int8_inputs_are_of_their_dtype() -> None:
    """Features of 8 bits exist from the specification of 2025 on."""
    target = ct.target.iOS26
    program = mb.program(input_specs=[mb.TensorSpec((2,), dtype=types.int8)], opset_version=target)(
        lambda x: mb.cast(x=x, dtype="fp32", name="y")
    )
    model = ct.convert(
        program,
        inputs=[ct.TensorType(name="x", shape=(2,), dtype=types.int8)],
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=ct.precision.FLOAT32,
    )
    np.testing.assert_array_equal(model.predict({"x": np.array([-128, 127], np.int8)})["y"], [-128, 127])
    with pytest.raises(InputError, match="'x' holds 0 to 128; expected what int8 can hold"):
        model.predict({"x": np.array([0, 128])})


def flexible(shape: Any) -> Any:
    program = mb.program(input_specs=[mb.TensorSpec((mb_symbol(), 2))], opset_version=IOS18)(
        lambda x: mb.mul(x=x, y=np.float32(2), name="y")
    )
    return convert(program, inputs=[ct.TensorType(name="x", shape=shape)])


def mb_symbol() -> Any:
    from coremltools.converters.mil.mil import get_new_symbol

    return get_new_symbol()


@pytest.mark.parametrize(
    ("shape", "good", "bad", "message"),
    [
        (ct.Shape(shape=(ct.RangeDim(1, 3), 2)), (3, 2), (4, 2), r"\(4, 2\); expected \[1\.\.3, 2\]"),
        (
            ct.EnumeratedShapes(shapes=[(1, 2), (4, 2)], default=(1, 2)),
            (4, 2),
            (3, 2),
            r"\(3, 2\); expected one of",
        ),
    ],
)
def test_shapes_are_checked_against_the_description(
    shape: Any, good: tuple[int, int], bad: tuple[int, int], message: str
) -> None:
    """Ranges and enumerations: what is allowed runs, what is not is named with what is."""
    model = flexible(shape)
    np.testing.assert_array_equal(model.predict({"x": np.ones(good, np.float32)})["y"], np.full(good, 2))
    with pytest.raises(InputError, match=message):
        model.predict({"x": np.ones(bad, np.float32)})


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "'ids' is missing"),
        ({"ids": IDS, "more": IDS}, "more"),
        ({"ids": IDS[:2]}, r"\(2,\); expected \[3\]"),
        ({"ids": np.array(["a", "b", "c"])}, "expected numbers, int32"),
    ],
)
def test_wrong_inputs_are_named(tmp_path: Path, inputs: dict[str, Any], words: str) -> None:
    model = saved(score_program(), tmp_path / "m.mlpackage")
    with pytest.raises((InputError, KeyError), match=words):
        model.predict(inputs)


def test_uninstall_gives_coremltools_back() -> None:
    stand_in = coremltools_model._MLModelProxy
    uninstall()
    assert coremltools_model._MLModelProxy is not stand_in
    uninstall()
