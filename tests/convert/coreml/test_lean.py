"""What is taken out of a Core ML program, and what must stay because the numbers depend on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - coremltools' own name for it
from coremltools.converters.mil.mil import Program, types
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

from pocketrec.convert.coreml import lean
from pocketrec.convert.coreml.least import least
from pocketrec.convert.coreml.patches import our_passes

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with our_passes(lean.LEAN):
        yield


TABLE = RNG.standard_normal((9, 4)).astype(np.float32)


def program(build: Any, **shapes: tuple[int, ...]) -> Program:
    """A program of int32 inputs `i...`, float16 inputs `h...` and float32 inputs of other names."""
    kinds = {"i": types.int32, "h": types.fp16}
    specs = [
        mb.TensorSpec(shape=shape, dtype=kinds.get(name[0], types.fp32)) for name, shape in shapes.items()
    ]
    code = f"lambda {', '.join(shapes)}: build({', '.join(shapes)})"
    made: Program = mb.program(input_specs=specs, opset_version=ct.target.iOS17)(eval(code, {"build": build}))
    return made


def after(prog: Program, name: str, inputs: dict[str, int] | None = None) -> Counter[str]:
    """How often each op is there after a pass, constants left out."""
    found = PASS_REGISTRY[name]
    if inputs is not None:
        found.inputs = lambda: inputs
    found.apply(prog)
    PASS_REGISTRY["common::dead_code_elimination"].apply(prog)
    return Counter(op.op_type for op in prog.functions["main"].operations if op.op_type != "const")


def guarded(ids: Any) -> Any:
    moved = mb.add(x=ids, y=np.int32(9))
    return mb.gather(x=TABLE, indices=mb.select(cond=mb.greater_equal(x=ids, y=0), a=ids, b=moved), axis=0)


def clamped(ids: Any, low: int = 0) -> Any:
    outside = mb.logical_or(x=mb.less(x=ids, y=low), y=mb.greater_equal(x=ids, y=9))
    return mb.select(cond=outside, a=np.zeros((3,), np.int32), b=ids)


def test_a_guard_goes_where_the_program_has_clamped_the_ids() -> None:
    ops = after(program(lambda ids: guarded(mb.identity(x=clamped(ids))), ids=(3,)), lean.INDEX_GUARDS, {})
    assert ops == {"less": 1, "greater_equal": 1, "logical_or": 1, "select": 1, "identity": 1, "gather": 1}


@pytest.mark.parametrize("low", [-1, 0])
def test_a_clamp_that_lets_negative_ids_through_keeps_its_guard(low: int) -> None:
    ops = after(program(lambda ids: guarded(clamped(ids, low)), ids=(3,)), lean.INDEX_GUARDS, {})
    assert ("add" in ops) == (low < 0)


def test_a_guard_goes_where_the_contract_forbids_other_ids_and_stays_where_it_does_not() -> None:
    assert after(program(guarded, ids=(3,)), lean.INDEX_GUARDS, {"ids": 0}) == {"gather": 1}
    assert after(program(guarded, ids=(3,)), lean.INDEX_GUARDS, {"other": 0})["select"] == 1
    assert after(program(guarded, ids=(3,)), lean.INDEX_GUARDS, {"ids": -1})["select"] == 1


def test_a_select_that_is_no_guard_stays() -> None:
    def other(ids: Any) -> Any:
        places = mb.select(cond=mb.greater_equal(x=ids, y=4), a=ids, b=mb.add(x=ids, y=np.int32(9)))
        return mb.gather(x=TABLE, indices=places, axis=0)

    assert after(program(other, ids=(3,)), lean.INDEX_GUARDS, {"ids": 0})["select"] == 1


BOUNDS: list[tuple[Any, int | None]] = [
    (lambda ids: mb.maximum(x=ids, y=np.int32(2)), 2),
    (lambda ids: mb.minimum(x=ids, y=np.int32(2)), None),
    (lambda ids: mb.concat(values=[clamped(ids), clamped(ids)], axis=0), 0),
    (lambda ids: mb.concat(values=[clamped(ids), ids], axis=0), None),
    (lambda ids: mb.reshape(x=clamped(ids), shape=(3, 1)), 0),
    (lambda ids: mb.cast(x=mb.cast(x=clamped(ids), dtype="bool"), dtype="int32"), None),
    (lambda ids: mb.cast(x=clamped(ids), dtype="int16"), None),
    (lambda ids: mb.cast(x=clamped(ids), dtype="int32"), 0),
    (lambda ids: mb.sub(x=clamped(ids), y=np.int32(1)), None),
    (lambda ids: mb.select(cond=mb.greater(x=ids, y=4), a=ids, b=np.zeros((3,), np.int32)), 0),
    (lambda ids: mb.select(cond=mb.greater(x=ids, y=4), a=np.zeros((3,), np.int32), b=ids), None),
    (
        lambda ids: mb.select(
            cond=mb.logical_not(x=mb.less_equal(x=ids, y=4)), a=ids, b=np.full((3,), 7, np.int32)
        ),
        5,
    ),
    (lambda ids: mb.topk(x=ids, k=1, axis=0)[1], 0),
    (lambda ids: mb.topk(x=ids, k=1, axis=0)[0], None),
]


@pytest.mark.parametrize(("build", "bound"), BOUNDS)
def test_a_bound_is_what_follows_from_the_program_and_no_more(build: Any, bound: int | None) -> None:
    made = program(build, ids=(3,))
    assert least(made.functions["main"].outputs[0], {}) == bound


def head(bias: Any, rows: int = 9) -> Any:
    weight = RNG.standard_normal((rows, 4)).astype(np.float32)
    return lambda x: mb.linear(x=x, weight=weight, bias=np.full(rows, bias, np.float32), name="scores")


def test_a_bias_of_zeros_over_a_catalogue_is_no_constant_any_more() -> None:
    made = program(head(0), x=(1, 4))
    assert after(made, lean.ZERO_BIASES) == {"matmul": 1}
    assert [each.name for each in made.functions["main"].outputs] == ["scores"]
    assert not [op for op in made.functions["main"].operations if op.outputs[0].shape == (9,)]


def test_a_bias_that_is_not_zero_stays() -> None:
    assert after(program(head(0.5), x=(1, 4)), lean.ZERO_BIASES) == {"linear": 1}


def test_a_bias_that_is_stored_as_codes_stays() -> None:
    def build(x: Any) -> Any:
        bias = mb.constexpr_cast(source_val=np.ones(9, np.float16), output_dtype="fp32")
        return mb.linear(x=x, weight=TABLE, bias=bias)

    assert after(program(build, x=(1, 4)), lean.ZERO_BIASES) == {"linear": 1, "constexpr_cast": 1}


def test_a_small_layer_stays_linear() -> None:
    assert after(program(head(0, rows=3), x=(1, 4)), lean.ZERO_BIASES) == {"linear": 1}


def between(before: tuple[int, ...], merged: tuple[int, ...], split: tuple[int, ...]) -> Program:
    weight = RNG.standard_normal((6, 4)).astype(np.float32)

    def build(x: Any) -> Any:
        return mb.reshape(x=mb.linear(x=mb.reshape(x=x, shape=merged), weight=weight), shape=split)

    return program(build, x=before)


def test_axes_are_not_merged_for_a_linear_layer() -> None:
    assert after(between((2, 5, 4), (10, 4), (2, 5, 6)), lean.RESHAPES) == {"linear": 1}


@pytest.mark.parametrize(
    ("before", "merged", "split"),
    [
        ((2, 5, 4), (10, 4), (5, 2, 6)),  # other leading axes
        ((2, 10, 2), (10, 4), (2, 5, 6)),  # columns made of two rows
        ((2, 5, 1, 4), (10, 4), (2, 5, 1, 6)),  # more axes than Core ML documents
    ],
)
def test_reshapes_that_do_more_than_merge_stay(
    before: tuple[int, ...], merged: tuple[int, ...], split: tuple[int, ...]
) -> None:
    assert after(between(before, merged, split), lean.RESHAPES) == {"linear": 1, "reshape": 2}


def attention(y_shape: tuple[int, ...]) -> Program:
    def build(x: Any, y: Any) -> Any:
        merged = [mb.reshape(x=x, shape=(6, 4, 5)), mb.reshape(x=y, shape=(6, 5, 3))]
        return mb.reshape(x=mb.matmul(x=merged[0], y=merged[1]), shape=(2, 3, 4, 3))

    return program(build, x=(2, 3, 4, 5), y=y_shape)


def test_heads_are_not_merged_for_a_product() -> None:
    assert after(attention((2, 3, 5, 3)), lean.RESHAPES) == {"matmul": 1}
    assert after(attention((3, 2, 5, 3)), lean.RESHAPES) == {"matmul": 1, "reshape": 3}


def test_values_are_joined_before_they_are_widened() -> None:
    def build(h1: Any, h2: Any, h3: Any, x: Any) -> Any:
        wide = [mb.cast(x=each, dtype="fp32") for each in (h1, h2, h3)]
        return mb.concat(values=[*wide, x], axis=1, name="all")

    shape = (1, 2)
    made = program(build, h1=shape, h2=shape, h3=shape, x=shape)
    assert after(made, lean.WIDENINGS) == {"concat": 2, "cast": 1}
    assert [each.name for each in made.functions["main"].outputs] == ["all"]


def test_two_values_are_joined_as_they_were() -> None:
    def build(h1: Any, h2: Any, x: Any) -> Any:
        return mb.concat(values=[mb.cast(x=h1, dtype="fp32"), mb.cast(x=h2, dtype="fp32"), x], axis=1)

    assert after(program(build, h1=(1, 2), h2=(1, 2), x=(1, 2)), lean.WIDENINGS) == {"concat": 1, "cast": 2}


MASK = np.full((2, 5, 16), -1e4, np.float32)


def largest_constant(prog: Program) -> int:
    PASS_REGISTRY[lean.REPEATED].apply(prog)
    PASS_REGISTRY["common::dead_code_elimination"].apply(prog)
    return max(
        np.size(op.outputs[0].val) for op in prog.functions["main"].operations if op.op_type == "const"
    )


def test_a_constant_of_one_number_is_stored_once_where_its_readers_broadcast() -> None:
    prog = program(lambda i, x: mb.select(cond=mb.equal(x=i, y=0), a=MASK, b=x), i=(2, 5, 16), x=(2, 5, 16))
    assert largest_constant(prog) == 1
    assert prog.functions["main"].outputs[0].shape == (2, 5, 16)


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda x: mb.add(x=x, y=MASK), (16,)),
        (lambda x: mb.matmul(x=x, y=np.ones((16, 5), np.float32)), (2, 5, 16)),  # does not broadcast
        (lambda x: mb.add(x=x, y=np.arange(160.0, dtype=np.float32).reshape(2, 5, 16)), (2, 5, 16)),
    ],
)
def test_a_constant_that_a_result_needs_whole_stays(build: Any, shape: tuple[int, ...]) -> None:
    assert largest_constant(program(build, x=shape)) >= 80


def test_an_axis_that_the_constant_gives_the_result_stays() -> None:
    prog = program(lambda x: mb.add(x=x, y=MASK), x=(1, 5, 16))
    assert largest_constant(prog) == 2
    assert prog.functions["main"].outputs[0].shape == (2, 5, 16)


def test_a_weight_that_is_repeated_over_a_batch_is_stored_once() -> None:
    weight = np.repeat(RNG.standard_normal((1, 16, 8)).astype(np.float32), 6, axis=0)
    prog = program(lambda x: mb.matmul(x=x, y=weight), x=(6, 3, 16))
    assert largest_constant(prog) == 16 * 8
    assert prog.functions["main"].outputs[0].shape == (6, 3, 8)
    alone = program(lambda x: mb.matmul(x=x, y=weight), x=(1, 3, 16))  # only the weight has six
    assert largest_constant(alone) == 6 * 16 * 8
