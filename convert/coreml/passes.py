"""The pass pipeline for recommenders: coremltools' own passes, less what is unsafe, and `OUR_PASSES`.

`float32_scores` runs before the cast to float16, where the tables of the final products are still
whole; `carry_codes` runs after all folding, where every other constant has its final form.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil.mil import Block, Builder, Function, Operation, Program, Var
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass

from pocketrec.convert.coreml.constexpr import Place, constexpr
from pocketrec.convert.coreml.coordinates import COORDINATES, STORED_BY, is_stored, read_by_coordinates
from pocketrec.convert.coreml.gather_codes import check_gathered, gather_codes
from pocketrec.convert.coreml.lean import INDEX_GUARDS, LEAN, REPEATED, RESHAPES, WIDENINGS, ZERO_BIASES
from pocketrec.convert.coreml.least import Least
from pocketrec.convert.coreml.masks import FLOAT16_MASKS, float16_masks
from pocketrec.convert.lower.carry import Carrier
from pocketrec.source.stubs import Stub, number_of

# add_int16_cast narrows indices without looking at the table: top-k over 65,536 items and more
# wraps, gather_nd becomes int16 whatever the size. fuse_conv_scale makes const / conv(x) a convolution
# (https://github.com/apple/coremltools/pull/2776). select_optimization makes a choice of infinity a sum,
# which does not hide the NaN that was not chosen, and forgets the condition's shape.
UNSAFE = frozenset({"common::add_int16_cast", "common::fuse_conv_scale", "common::select_optimization"})
# It multiplies what follows a convolution into its weights, which are then no longer the compressed ones.
CHANGE_WEIGHTS = frozenset({"common::fuse_conv_batchnorm"})
# Folding the transpose of a table would store the table a second time.
_LARGEST_FOLD = 1 << 14

_PRODUCTS = frozenset({"linear", "matmul", "einsum", "conv", "gru", "lstm", "rnn"})
_RECURRENT = frozenset({"gru", "lstm", "rnn"})  # their weights must be plain constants
_BORDERS = frozenset({"gather", "gather_nd", "gather_along_axis", "layer_norm", "batch_norm", "softmax"})
# What does not need a constant: others read a compressed tensor only as it is stored.
_READ_ANY_VALUE = frozenset({"matmul", "einsum", "add", "sub", "mul", "real_div", "select", "concat"})
_FLOAT32_SCORES = "pocketrec::float32_scores"
_CARRY_CODES = "pocketrec::carry_codes"
_KEEP_STUBS = "pocketrec::keep_stubs"
_NAME_OUTPUTS = "pocketrec::name_outputs"
_DEAD = "common::dead_code_elimination"
_LINEAR = "common::expand_dynamic_linear"  # the last pass that makes or takes linear layers
# The first pass after the last folding; what follows turns weights that are no constants into matmuls.
_FOLDED = "common::merge_affine_dequantize_with_consecutive_ops"


def recommender_pipeline(
    *,
    float16: bool,
    carrier: Carrier | None = None,
    minimum_deployment_target: str = "iOS17",
    gathered: Collection[str] = (),
    outputs: Sequence[str] = (),
    inputs: Least | None = None,
) -> ct.PassPipeline:
    """The default passes of coremltools without the unsafe ones, and our own.

    Where `float16`, with float32 scores and with masks that float16 can hold.

    Args:
        float16: whether the program computes in float16, and its scores in float32.
        carrier: the compressed tensors to write as codes; none where it is None.
        minimum_deployment_target: decides in what form codes are written.
        gathered: names of compressed tables whose codes are gathered; see `gather_codes`.
        outputs: the outputs' names, in order; where one result has two, it is given twice.
        inputs: the smallest numbers that the contract allows in the inputs, by name, where it says so.
    """
    pipeline = ct.PassPipeline()
    left_out = UNSAFE | (CHANGE_WEIGHTS if carrier is not None and carrier.holds_filters else frozenset())
    pipeline.passes = [name for name in pipeline.passes if name not in left_out]
    pipeline.set_options("common::const_elimination", {"skip_const_by_size": str(_LARGEST_FOLD)})
    writer = Writer(carrier or Carrier({}), minimum_deployment_target, gathered)
    pipeline.insert_pass(0, _KEEP_STUBS)
    for each in (REPEATED, _CARRY_CODES):
        pipeline.insert_pass(pipeline.passes.index(_FOLDED), each)
    pipeline.append_pass(COORDINATES)
    pipeline.append_pass(REPEATED)
    pipeline.append_pass(_DEAD)
    pipeline.append_pass(_NAME_OUTPUTS)
    pipeline.set_options(_NAME_OUTPUTS, {"names": ",".join(outputs)})
    options: Any = {"writer": writer}  # declared as text, and given to the pass as it is
    pipeline.set_options(_CARRY_CODES, options)
    _insert_lean(pipeline, dict(inputs or {}))
    if float16:
        for each in (FLOAT16_MASKS, _FLOAT32_SCORES):
            pipeline.insert_pass(pipeline.passes.index("common::add_fp16_cast"), each)
        pipeline.set_options(_FLOAT32_SCORES, options)
    return pipeline


def _insert_lean(pipeline: ct.PassPipeline, inputs: Least) -> None:
    """Adds the passes that take out what the numbers do not need, where their patterns are final."""
    pipeline.insert_pass(pipeline.passes.index("common::guard_negative_gather_indices") + 1, INDEX_GUARDS)
    known: Any = {"inputs": lambda: inputs}
    pipeline.set_options(INDEX_GUARDS, known)
    for each in (RESHAPES, ZERO_BIASES, WIDENINGS):
        pipeline.insert_pass(pipeline.passes.index(_LINEAR) + 1, each)


class Writer:
    """Writes compressed tensors into a block, each once, and tells the carrier.

    coremltools takes options that are text or callable, so this is called with a block and a constant.
    """

    def __init__(
        self, carrier: Carrier, minimum_deployment_target: str, gathered: Collection[str] = ()
    ) -> None:
        self._carrier, self._target, self._gathered = carrier, minimum_deployment_target, gathered

    def __call__(self, block: Block, value: Var) -> Var | None:
        """The variable that replaces the constant `value` in `block`; None where nothing does."""
        match = self._carrier(value.val)
        if match is None:
            return None
        if match.tensor.name in self._gathered:
            gather_codes(block, value, check_gathered(match.tensor, self._target))
            self._carrier.done(match.tensor)
            return None
        if match.derived and any(each.op_type not in _READ_ANY_VALUE for each in value.child_ops):
            return None
        place = Place(
            before=block.operations[0],
            transposed=match.transposed,
            dtype=np.asarray(value.val).dtype.type,
            minimum_deployment_target=self._target,
        )
        with block:
            written = constexpr(match.tensor, place)
            if match.derived:
                moved = Builder.transpose(x=written, perm=list(match.axes), before_op=place.before)
                written = Builder.reshape(x=moved, shape=list(match.shape), before_op=place.before)
        self._carrier.done(match.tensor)
        return written


def float16_selector() -> Callable[[Operation], bool]:
    """A selector for FP16ComputePrecision: False for the ops that make the final scores, and ids.

    Float16 scores tie and swap near the top of a large catalogue. From each output back to the
    last product (that one included) everything stays float32, and so does the gather from a
    table that such a product shares. Ids that come in a matrix of real numbers stay float32 up to
    the table that they read: float16 rounds whole numbers above 2,048.
    """
    kept: dict[int, set[int]] = {}

    def to_float16(op: Operation) -> bool:
        block = op.enclosing_block
        while block.outer_op is not None:
            block = block.outer_op.enclosing_block
        if id(block) not in kept:
            kept[id(block)] = {id(each) for each in (*tail(block), *_makers_of_indices(block))}
        if id(op) in kept[id(block)] or op.op_type.startswith("constexpr_"):
            return False
        # A table in parts or in coordinates is put together and read as it is stored.
        stored = op.op_type in STORED_BY and all(map(is_stored, op.outputs or ()))
        shared = op.op_type == "gather" and any(id(each) in kept[id(block)] for each in op.x.child_ops)
        return not (stored or shared)

    return to_float16


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


def _makers_of_indices(block: Block) -> list[Operation]:
    """The ops from which the indices of a gather or scatter are made, back to the inputs."""
    found: dict[int, Operation] = {}
    waiting = [
        op.indices.op for op in block.operations if "indices" in op.inputs and op.indices.op is not None
    ]
    while waiting:
        op = waiting.pop()
        if id(op) not in found and not op.op_type.startswith("const"):
            found[id(op)] = op
            waiting.extend(value.op for value in _inputs(op) if value.op is not None)
    return list(found.values())


def _inputs(op: Operation) -> Iterator[Var]:
    for value in op.inputs.values():
        yield from value if isinstance(value, list | tuple) else (value,)


class float32_scores(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - a pipeline takes this name
    """Store the tables of the final products as float16, and multiply in float32.

    A table that a gather shares with the product (tied embeddings) is stored once: both read the
    same constexpr_cast. A compressed table becomes its codes here, for the same reason. iOS15 has no
    constexpr_cast, so there the table is stored once as float32.
    """

    writer = Writer(Carrier({}), "iOS17")  # an option has to be there to be set

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        for function in prog.functions.values():
            _share_tables(function, self.writer)


class keep_stubs(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - a pipeline takes this name
    """Make the stubs of streamed tables known, so that no later pass computes on what they stand for."""

    def apply(self, prog: Program) -> None:
        """Changes the values of constants, and of what is only a view of one, in every function."""
        for function in prog.functions.values():
            for op in function.operations:
                held = [op.val] if op.op_type == "const" else []
                for value in (*held, *op.outputs):
                    number = number_of(value.val)
                    if number is not None:
                        value._sym_val.val = Stub.table(number, value.val.shape, value.val.dtype)


class name_outputs(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - a pipeline takes this name
    """Give every output a variable of its own, where equal results have become one."""

    names = ""  # joined by commas, as an option is text

    def apply(self, prog: Program) -> None:
        """Changes the outputs of the function `main`."""
        block, names = prog.functions["main"], self.names.split(",")
        found: list[Var] = []
        for value, name in zip(block.outputs, names, strict=True):
            shared = any(value is each for each in found)
            found.append(_named(block, value, name) if shared else value)
        for value, name in zip(found, names, strict=True):
            value.name = name
        block.set_outputs(found)


def _named(block: Function, value: Var, name: str) -> Var:
    """The same value as another variable, which stems from where the value does."""
    with block:
        named: Var = Builder.identity(x=value, name=name)
    if value.op is not None and named.op is not None:
        for source, scope in value.op.scopes.items():
            named.op.scopes.setdefault(source, scope)
    return named


class carry_codes(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - a pipeline takes this name
    """Write every constant that is a compressed tensor as its codes.

    Constants that are too large to have been folded are narrowed to float16 here, where the
    program reads them so.
    """

    writer = Writer(Carrier({}), "iOS17")  # an option has to be there to be set

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        for function in prog.functions.values():
            _narrow_constants(function)
            for op in list(function.operations):
                if op.op_type == "const":
                    _replace(function, op.outputs[0], self.writer(function, op.outputs[0]))


OUR_PASSES: tuple[type, ...] = (
    *(keep_stubs, float32_scores, carry_codes, name_outputs, float16_masks, read_by_coordinates),
    *LEAN,
)


def _replace(block: Block, old: Var, new: Var | None) -> None:
    if new is not None and new.op is not None:
        block.replace_uses_of_var_after_op(
            anchor_op=new.op, old_var=old, new_var=new, no_check_var_types=True, force_replace=True
        )


def _narrow_constants(block: Block) -> None:
    operations: list[Any] = list(block.operations)
    for op in operations:
        if op.op_type != "cast" or op.dtype.val != "fp16":
            continue
        source = op.x.op
        if source is not None and source.op_type == "const" and op.x.val.dtype == np.float32:
            with block:
                narrow = Builder.const(val=op.x.val.astype(np.float16), before_op=op, name=op.outputs[0].name)
            _replace(block, op.outputs[0], narrow)
            block.remove_ops([op])


def _share_tables(block: Function, writer: Writer) -> None:
    tables: dict[int, Var] = {}
    for op in tail(block):
        if op.op_type in _PRODUCTS - _RECURRENT:
            for value in _inputs(op):
                if _is_table(value):
                    tables[id(value)] = value
    for value in tables.values():
        written = writer(block, value)
        if written is not None:
            _replace(block, value, written)
            continue
        if block.opset_version is None or block.opset_version < ct.target.iOS16:
            continue
        table: Any = value.val  # a stub narrows itself, and must stay one
        with block:
            narrow = Builder.constexpr_cast(
                source_val=table.astype(np.float16),
                output_dtype="fp32",
                before_op=next(each for each in block.operations if value in _inputs(each)),
                name=f"{value.name}_float32",
            )
        block.replace_uses_of_var_after_op(
            anchor_op=narrow.op, old_var=value, new_var=narrow, no_check_var_types=True
        )


def _is_table(value: Var) -> bool:
    constant = value.op is not None and value.op.op_type == "const"
    numbers = value.val if constant else None
    return isinstance(numbers, np.ndarray) and numbers.dtype == np.float32 and numbers.ndim == 2
