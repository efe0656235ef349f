"""The table of kernels against coremltools' own registry of ops: nothing is missing unnoticed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import coremltools as ct
import pytest
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

from pocketrec.validate.coreml_program.kernels import KERNELS
from pocketrec.validate.coreml_program.plan import LEFT_OUT

OPSETS = (ct.target.iOS15, ct.target.iOS16, ct.target.iOS17, ct.target.iOS18)
# `const` is read by the executor. A saved program holds neither symbols nor the ops of the `complex`
# and `torch` dialects, which conversion lowers; of the `coreml` dialect it holds the update of a state.
NOT_SAVED = {"_const_symbolic"}
READ_BY_THE_EXECUTOR = {"const"}
LOWERED_DIALECTS = ("complex", "torch_")
# Besides inputs, nested blocks: the executor runs them.
BLOCKS = {"_true_fn", "_false_fn", "_cond", "_body", "_existing_blocks"}


def registered() -> Iterator[tuple[str, str, Any]]:
    """(op type, opset, op class) of all that a saved program may hold, iOS15 to iOS18."""
    for op_type, by_opset in SSAOpRegistry.core_ops.items():
        for opset, op_class in by_opset.items():
            if opset in OPSETS and op_type not in NOT_SAVED:
                yield op_type, opset.name, op_class
    for op_type, op_class in SSAOpRegistry.dialect_ops.items():
        if not op_type.startswith(LOWERED_DIALECTS):
            yield op_type, "dialect", op_class


def missing(kernels: Mapping[str, Any], left_out: Mapping[str, str]) -> set[str]:
    """Op types that are registered, and neither computed nor left out by name."""
    return {op_type for op_type, _, _ in registered()} - set(kernels) - set(left_out) - READ_BY_THE_EXECUTOR


def test_the_registry_is_really_walked() -> None:
    """Op types of every opset and of the dialect are among those that are checked."""
    seen = {(op_type, opset) for op_type, opset, _ in registered()}
    assert {
        ("crop", "iOS15"),
        ("pixel_unshuffle", "iOS16"),
        ("quantize", "iOS17"),
        ("scaled_dot_product_attention", "iOS18"),
        ("coreml_update_state", "dialect"),
    } <= seen


def test_every_registered_op_has_a_kernel_or_a_reason() -> None:
    """iOS15 to iOS18 and the Core ML dialect, by name."""
    assert missing(KERNELS, LEFT_OUT) == set()


@pytest.mark.parametrize("op_type", ["gelu", "coreml_update_state", "constexpr_lut_to_sparse"])
def test_a_lost_kernel_is_missed(op_type: str) -> None:
    """The walk above names an op whose kernel is gone."""
    assert missing({name: each for name, each in KERNELS.items() if name != op_type}, LEFT_OUT) == {op_type}


def test_what_is_left_out_has_no_kernel_and_says_why() -> None:
    """An op is not both computed and refused, and the reason is a sentence."""
    assert not set(LEFT_OUT) & set(KERNELS)
    assert all(len(reason.split()) >= 4 for reason in LEFT_OUT.values())


def test_every_kernel_takes_the_inputs_of_every_opset() -> None:
    """Names as registered, and none is demanded that the op makes optional."""
    for op_type, opset, op_class in registered():
        if op_type not in KERNELS:
            continue
        parameters = inspect.signature(KERNELS[op_type]).parameters
        inputs = op_class.input_spec.input_types
        assert set(inputs) - BLOCKS <= set(parameters), (op_type, opset)
        demanded = {name for name, each in parameters.items() if each.default is each.empty}
        assert not demanded & {name for name, each in inputs.items() if each.optional}, (op_type, opset)


def defaults(op_class: Any) -> dict[str, Any]:
    """The default inputs of an op, empty where they depend on its other inputs."""
    try:
        return dict(op_class.default_inputs(object.__new__(op_class)).items())
    except AttributeError:
        return {}


def test_every_kernel_has_the_defaults_of_the_op() -> None:
    """A program may leave out an optional input; coremltools writes them all."""
    compared = 0
    for op_type, opset, op_class in registered():
        parameters = inspect.signature(KERNELS[op_type]).parameters if op_type in KERNELS else {}
        for name, value in defaults(op_class).items() if parameters else ():
            # Left out, it says that the opset is older than iOS17, where indices may be negative.
            if name != "validate_indices":
                compared += 1
                assert parameters[name].default == value, (op_type, opset, name)
    assert compared > 400
