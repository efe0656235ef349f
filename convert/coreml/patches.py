"""What is changed in coremltools while it converts: lowerings, passes, inferred values, blobs.

    our_lowerings     ops of PyTorch that it lacks or gets wrong
    our_passes        passes of our own, by the names that a pipeline calls them by
    right_inference   values that it infers wrongly, and sizes that it cannot compare
    blobs_written_by  the weight file, laid out by us
    without_ado       the search for garbage, and the checks of a program after each of a hundred passes

It computes each op whose operands are constant, and folds the result. `scatter_along_axis` ignores its
mode there, and `layer_norm` misreads missing axes. Without a value such an op simply stays in the
program, where it is computed as it is defined. It also gives the same free size several names, and
`scatter_along_axis`, unlike all others, takes two names for two sizes. The shape of `select` is that of
its choices, whatever the condition's.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from coremltools.converters.mil.backend.mil import helper, load
from coremltools.converters.mil.frontend.torch import ops as torch_ops
from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY
from coremltools.converters.mil.mil import Program, types
from coremltools.converters.mil.mil.ops.defs.iOS15.control_flow import select
from coremltools.converters.mil.mil.ops.defs.iOS15.linear import linear
from coremltools.converters.mil.mil.ops.defs.iOS15.normalization import layer_norm
from coremltools.converters.mil.mil.ops.defs.iOS15.scatter_gather import scatter_along_axis
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

from pocketrec.convert.lower.refusal import NotLowered
from pocketrec.foreign import Releases, older_kept, registered, replaced

COREMLTOOLS = Releases(library="coremltools", first="9.0", below="10")
OUR_NAMESPACE = "pocketrec"

# Op to the condition under which its value inference is right.
_RIGHT: dict[Any, Callable[[Any], bool]] = {
    scatter_along_axis: lambda op: op.mode is not None and op.mode.val == "update",
    layer_norm: lambda op: op.axes is not None,
}


@contextmanager
def our_lowerings(lowerings: Mapping[str, Callable[[Any, Any], None]]) -> Iterator[None]:
    """Lets coremltools lower these ops of PyTorch as the functions say, and name the op that it fails on."""
    convert = torch_ops.convert_single_node

    def convert_or_name(context: Any, node: Any) -> None:
        try:
            convert(context, node)
        except NotLowered:
            raise
        except Exception as error:
            raise NotLowered(str(node.kind), str(node.name)) from error

    with (
        registered(_TORCH_OPS_REGISTRY.name_to_func_mapping, lowerings, releases=COREMLTOOLS),
        replaced(torch_ops, {"convert_single_node": convert_or_name}, releases=COREMLTOOLS),
    ):
        yield


# Passes that run behind every pipeline, of which none can leave them out. fuse_pow2_sqrt takes the root of a
# square for the number itself, whose sign it has lost.
UNSAFE_BEHIND = frozenset({"mil_backend::fuse_pow2_sqrt"})


class _Idle(AbstractGraphPass):  # type: ignore[misc]
    """A pass that leaves every program as it is."""

    def apply(self, prog: Program) -> None:
        pass


@contextmanager
def our_passes(passes: Iterable[type]) -> Iterator[None]:
    """Lets pipelines name passes of ours, `pocketrec::` and the class; unsafe ones behind them rest."""
    named: dict[str, Any] = {f"{OUR_NAMESPACE}::{each.__name__}": each for each in passes}
    named.update(dict.fromkeys(UNSAFE_BEHIND, _Idle))
    with registered(PASS_REGISTRY.passes, named, releases=COREMLTOOLS):
        yield


@contextmanager
def right_inference() -> Iterator[None]:
    """Keeps coremltools from inferring wrong values, and lets it take free sizes for equal."""
    with ExitStack() as stack:
        for each, right in _RIGHT.items():
            inferred = {"value_inference": _only_where(right, each.value_inference)}
            stack.enter_context(replaced(each, inferred, releases=COREMLTOOLS))
        for op, infer in ((scatter_along_axis, _scattered), (select, _selected(select.type_inference))):
            stack.enter_context(replaced(op, {"type_inference": infer}, releases=COREMLTOOLS))
        yield


def _only_where(right: Callable[[Any], bool], original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def value_inference(op: Any) -> Any:
        return original(op) if right(op) else None

    return value_inference


def _scattered(op: Any) -> Any:
    """The type of the data; ValueError where a known size of the indices is another one."""
    axis = op.axis.val % op.data.rank
    for number, (size, reached) in enumerate(zip(op.data.shape, op.indices.shape, strict=True)):
        known = number != axis and not is_symbolic(size) and not is_symbolic(reached)
        if known and size != reached:
            raise ValueError(f"scatter: size {reached} of the indices at axis {number}, expected {size}")
    return op.data.sym_type


def _selected(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def type_inference(op: Any) -> Any:
        """The type of the choices, wider where the condition is."""
        found = original(op)
        chosen, wide = _shape(found), _shape(op.cond.sym_type)
        rank = max(len(chosen), len(wide))
        if not rank:
            return found
        sizes = zip(_of_rank(chosen, rank), _of_rank(wide, rank), strict=True)
        shape = tuple(size if own == 1 else own for own, size in sizes)
        return types.tensor(found.get_primitive() if chosen else found, shape)

    return type_inference


def _shape(kind: Any) -> tuple[Any, ...]:
    return tuple(kind.get_shape()) if types.is_tensor(kind) else ()


def _of_rank(shape: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    return (1,) * (rank - len(shape)) + shape


@contextmanager
def without_ado() -> Iterator[None]:
    """Spares a conversion what takes a third of its time and changes no program.

    It ends with a search of the whole process for garbage: what is older than the conversion is left out of
    that. And it checks the program after each pass; the checks between pipelines stay.
    """
    validate = Program.validate

    def between_pipelines(program: Any, check_essential_scope: bool | None = None) -> None:
        if check_essential_scope is not False:  # which only the loop over the passes says
            validate(program, check_essential_scope=bool(check_essential_scope))

    with replaced(Program, {"validate": between_pipelines}, releases=COREMLTOOLS), older_kept():
        yield


@contextmanager
def blobs_written_by(
    make: Callable[[str], Any], offset: Callable[[Any, Any, Any], int], no_bias: Callable[[Any], Any]
) -> Iterator[None]:
    """Gives coremltools another writer of blobs.

    Args:
        make: the path of a weight file to its writer.
        offset: a variable, the writer and coremltools' own function to the place of the variable's blob.
        no_bias: what `linear` takes where it has no bias.
    """
    own = helper._get_offset_by_writing_data
    writes = {"_get_offset_by_writing_data": lambda var, writer: offset(var, writer, own)}
    with (
        replaced(load, {"BlobWriter": make}, releases=COREMLTOOLS),
        replaced(helper, writes, releases=COREMLTOOLS),
        replaced(linear, {"default_inputs": no_bias}, releases=COREMLTOOLS),
    ):
        yield
