"""The pass pipeline for recommenders: coremltools' own, less what is unsafe, plus float32 scores.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import coremltools as ct
import numpy as np
from coremltools.converters.mil.mil import Block, Builder, Operation, Program, Var
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.pass_registry import register_pass

from pocketrec.convert.masks import FLOAT16_MASKS

# add_int16_cast narrows indices without looking at the table: top-k over 65,536 items and more
# wraps, gather_nd becomes int16 whatever the size.
UNSAFE = frozenset({"common::add_int16_cast"})
# Folding the transpose of a table would store the table a second time.
_LARGEST_FOLD = 1 << 14

_PRODUCTS = frozenset({"linear", "matmul", "einsum", "conv", "gru", "lstm", "rnn"})
_BORDERS = frozenset({"gather", "gather_nd", "gather_along_axis", "layer_norm", "batch_norm", "softmax"})
_FLOAT32_SCORES = "pocketrec::float32_scores"


def recommender_pipeline(*, float16: bool) -> ct.PassPipeline:
    """The default passes of coremltools without the unsafe ones.

    Where `float16`, with float32 scores and with masks that float16 can hold.
    """
    pipeline = ct.PassPipeline()
    pipeline.passes = [name for name in pipeline.passes if name not in UNSAFE]
    pipeline.set_options("common::const_elimination", {"skip_const_by_size": str(_LARGEST_FOLD)})
    if float16:
        for each in (FLOAT16_MASKS, _FLOAT32_SCORES):
            pipeline.insert_pass(pipeline.passes.index("common::add_fp16_cast"), each)
    return pipeline


def float16_selector() -> Callable[[Operation], bool]:
    """A selector for FP16ComputePrecision: False for the ops that make the final scores.

    Float16 scores tie and swap near the top of a large catalogue. From each output back to the
    last product (that one included) everything stays float32, and so does the gather from a
    table that such a product shares.
    """
    tails: dict[int, set[int]] = {}

    def to_float16(op: Operation) -> bool:
        block = op.enclosing_block
        while block.outer_op is not None:
            block = block.outer_op.enclosing_block
        if id(block) not in tails:
            tails[id(block)] = {id(each) for each in tail(block)}
        if id(op) in tails[id(block)] or op.op_type == "constexpr_cast":
            return False
        return not (op.op_type == "gather" and _from_constexpr(op.x))

    return to_float16


def _from_constexpr(value: Var) -> bool:
    return value.op is not None and value.op.op_type == "constexpr_cast"


def tail(block: Block) -> list[Operation]:
    """The ops between the last products and the block's outputs, the products included."""
    found: dict[int, Operation] = {}
    waiting = [value.op for value in block.outputs if value.op is not None]
    while waiting:
        op = waiting.pop()
        if id(op) in found or op.op_type in _BORDERS or op.op_type.startswith("const"):
            continue
        found[id(op)] = op
        if op.op_type not in _PRODUCTS:
            waiting.extend(value.op for value in _inputs(op) if value.op is not None)
    return list(found.values())


def _inputs(op: Operation) -> Iterator[Var]:
    for value in op.inputs.values():
        yield from value if isinstance(value, list | tuple) else (value,)


@register_pass(namespace="pocketrec")
class float32_scores(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - the registry takes this name
    """Store the tables of the final products as float16, and multiply in float32.

    A table that a gather shares with the product (tied embeddings) is stored once: both read the
    same constexpr_cast.
    """

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        for function in prog.functions.values():
            _share_tables(function)


def _share_tables(block: Block) -> None:
    tables: dict[int, Var] = {}
    for op in tail(block):
        if op.op_type in _PRODUCTS:
            for value in _inputs(op):
                if _is_table(value):
                    tables[id(value)] = value
    for value in tables.values():
        with block:
            narrow = Builder.constexpr_cast(
                source_val=np.asarray(value.val).astype(np.float16),
                output_dtype="fp32",
                before_op=next(each for each in block.operations if value in _inputs(each)),
                name=f"{value.name}_float32",
            )
        block.replace_uses_of_var_after_op(
            anchor_op=narrow.op, old_var=value, new_var=narrow, no_check_var_types=True
        )


def _is_table(value: Var) -> bool:
    constant = value.op is not None and value.op.op_type == "const"
    return constant and value.val is not None and value.val.dtype == np.float32 and value.val.ndim == 2
