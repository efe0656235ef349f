"""A contract read off a module and its example: which axis is the batch, which inputs are ids.

What is inferred is a first draft that is written beside the artifacts, for people to correct: names
and kinds come from the example and from what the forward does with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Kind, Output, Signature, VocabularySpec
from pocketrec.convert.watch.survey import Lookup
from pocketrec.errors import InputError, PocketrecError
from pocketrec.places import told

BATCH = "batch"
_LARGEST_BATCH = 1024
_LARGEST_ROWS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """How a module's shapes follow its batch.

    Attributes:
        batched: numbers of the inputs whose first axis is the batch; empty where there is none.
        minimum: the smallest batch that the module takes.
        outputs: per output its sizes; the batch, and what follows from it, by name.
        dims: the named dims.
        squeezed: outputs that lose their batch axis for a batch of one, by number.
        note: why the batch is fixed, or larger than one; else empty.
    """

    batched: frozenset[int] = frozenset()
    minimum: int = 1
    outputs: tuple[tuple[int | str, ...], ...]
    dims: Mapping[str, Dim]
    squeezed: frozenset[int] = frozenset()
    note: str = ""

    def fixed(self, sizes: Sequence[tuple[int, ...]], note: str) -> Shapes:
        """The same outputs with the sizes that the example gives, and no free dim."""
        return Shapes(outputs=tuple(tuple(each) for each in sizes), dims={}, note=note)


def take_rows(tensors: Sequence[Tensor], batched: frozenset[int], index: Tensor) -> tuple[Tensor, ...]:
    """The inputs with these rows of every batched one."""
    return tuple(
        each.index_select(0, index) if number in batched else each for number, each in enumerate(tensors)
    )


def find_shapes(module: nn.Module, tensors: Sequence[Tensor]) -> Shapes:
    """How the shapes of `module` follow its batch, found by running it on other numbers of rows.

    Raises:
        InputError: the module does not run on its example, or returns no tensor.
    """
    example = tuple(tensors)
    given = _run(module, example, told)
    if isinstance(given, str):
        remark = getattr(module, "remark", "")
        known = f" ({remark})" if remark else ""
        raise InputError(
            f"the module does not run on its example{known}: {given}; it was given "
            f"{_described(module, example)}: correct the example inputs"
        )
    if not given:
        raise InputError("the module returns no tensor; return a tensor, or a tuple, list or dict of tensors")
    sizes = [tuple(each.shape) for each in given]
    fixed = Shapes(outputs=tuple(sizes), dims={})
    counted = Counter(each.shape[0] for each in example if each.ndim)
    if not counted:
        return replace(fixed, note="the inputs are scalars")
    rows = counted.most_common(1)[0][0]
    batched = frozenset(number for number, each in enumerate(example) if each.ndim and each.shape[0] == rows)
    if not rows:
        raise InputError("the example has no rows; pass at least one")
    return _by_rows(module, example, rows, batched, sizes, fixed)


def _by_rows(
    module: nn.Module,
    example: tuple[Tensor, ...],
    rows: int,
    batched: frozenset[int],
    sizes: list[tuple[int, ...]],
    fixed: Shapes,
) -> Shapes:
    counts = [max(rows, 2) + extra for extra in (1, 3)]
    found = [_sizes(module, take_rows(example, batched, torch.arange(count) % rows)) for count in counts]
    wrong = next((each for each in found if isinstance(each, str)), None)
    if wrong is not None:
        return replace(
            fixed, note=f"the batch is fixed at {rows}: with {counts[0]} rows the module fails ({wrong})"
        )
    first, second = (each for each in found if not isinstance(each, str))
    if [len(each) for each in first] != [len(each) for each in second]:
        return replace(fixed, note=f"the batch is fixed at {rows}: the outputs' rank follows it")
    dims = {BATCH: Dim(max=max(_LARGEST_BATCH, rows))}
    outputs = tuple(
        tuple(_size(a, b, counts, dims) for a, b in zip(one, two, strict=True))
        for one, two in zip(first, second, strict=True)
    )
    shapes = Shapes(batched=batched, outputs=outputs, dims=dims)
    if rows > 1 and [len(each) for each in sizes] != [len(each) for each in outputs]:
        return replace(fixed, note=f"the batch is fixed at {rows}: the outputs' rank follows it")
    return _with_single(module, example, shapes)


def _size(one: int, two: int, counts: Sequence[int], dims: dict[str, Dim]) -> int | str:
    if one == two:
        return one
    if [one, two] == list(counts):
        return BATCH
    name = f"rows_{len(dims)}"
    dims[name] = Dim(max=_LARGEST_ROWS)
    return name


def _with_single(module: nn.Module, example: tuple[Tensor, ...], shapes: Shapes) -> Shapes:
    """The shapes with what a batch of one does: the same, an axis less, or an error."""
    single = _sizes(module, take_rows(example, shapes.batched, torch.arange(1)))
    note = ""
    if isinstance(single, str):
        note = f"a batch of 1 fails ({single})"
    else:
        squeezed = []
        for number, (size, outline) in enumerate(zip(single, shapes.outputs, strict=True)):
            if len(size) != len(outline):
                squeezed.append(number)
                if not _restorable(size, outline):
                    note = f"output {number} of a batch of 1 has shape {list(size)}"
        if not note:
            return replace(shapes, squeezed=frozenset(squeezed))
    dims = {name: replace(dim, min=2) if name == BATCH else dim for name, dim in shapes.dims.items()}
    return replace(shapes, minimum=2, dims=dims, note=f"{note}: the smallest batch is 2")


def _restorable(size: tuple[int, ...], outline: tuple[int | str, ...]) -> bool:
    """True where the sizes are those of the outline without the axes that are 1."""
    wanted = [1 if each == BATCH else each for each in outline]
    return [each for each in wanted if each != 1] == [each for each in size if each != 1]


def _sizes(module: nn.Module, inputs: tuple[Tensor, ...]) -> list[tuple[int, ...]] | str:
    given = _run(module, inputs)
    return given if isinstance(given, str) else [tuple(each.shape) for each in given]


def _described(module: nn.Module, example: Sequence[Tensor]) -> str:
    """Every input with dtype, shape and its smallest and largest value."""
    names = getattr(module, "names", None) or [f"input_{number}" for number in range(len(example))]
    said = []
    for name, each in zip(names, example, strict=True):
        ends = f" from {each.min().item():g} to {each.max().item():g}" if each.numel() else ""
        said.append(f"{name} {str(each.dtype).removeprefix('torch.')} {list(each.shape)}{ends}")
    return ", ".join(said)


def _plainly(error: BaseException) -> str:
    """The error in a line that does not depend on where its files are."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"


def _run(
    module: nn.Module, inputs: tuple[Tensor, ...], say: Callable[[BaseException], str] = _plainly
) -> tuple[Tensor, ...] | str:
    """The outputs, or the error in a line."""
    from pocketrec.convert.capture.checks import run

    try:
        return run(module, inputs)
    except PocketrecError:
        raise
    except Exception as error:
        return say(error)


def infer_contract(
    names: Sequence[str],
    tensors: Sequence[Tensor],
    dtypes: Sequence[torch.dtype],
    output_names: Sequence[str],
    outputs: Sequence[Tensor],
    shapes: Shapes,
    tables: Sequence[Lookup],
    *,
    wide: bool = False,
) -> Contract:
    """The draft of a contract.

    Args:
        names: of the inputs.
        tensors: the example, in the contract's dtypes.
        dtypes: what the module takes.
        output_names: of the outputs.
        outputs: what the module gives for the example.
        shapes: from `find_shapes`.
        tables: from a survey.
        wide: whether the module holds whole numbers beyond int32.
    """
    vocabularies: dict[str, VocabularySpec] = {}
    read_by: dict[int, str] = {}  # a table to the vocabulary of the first input that reads it
    features = []
    for number, (name, tensor, dtype) in enumerate(zip(names, tensors, dtypes, strict=True)):
        shape = _input_shape(number, tensor, shapes)
        reads = [each for each in tables if each.source == number and each.exact]
        found = _vocabulary(reads, tensor) if tensor.dtype == torch.int32 else None
        vocabulary = None
        if found is not None:
            vocabulary = next((read_by[each.storage] for each in reads if each.storage in read_by), name)
            read_by.update({each.storage: vocabulary for each in reads if each.storage})
            known = vocabularies.setdefault(vocabulary, found)
            vocabularies[vocabulary] = found if known.padding_id is None else known
        features.append(_feature(name, tensor, dtype, shape, vocabulary))
    return Contract(
        functions={
            "main": Signature(
                inputs=tuple(features),
                outputs=_outputs(output_names, outputs, shapes, wide),
            )
        },
        dims=dict(shapes.dims),
        vocabularies=vocabularies,
    )


def _input_shape(number: int, tensor: Tensor, shapes: Shapes) -> tuple[int | str, ...]:
    sizes: list[int | str] = [int(size) for size in tensor.shape]
    if number in shapes.batched:
        sizes[0] = BATCH
    if any(size == 0 for size in sizes):
        raise InputError(
            f"input {number} of the example is empty (shape {list(tensor.shape)}); pass real rows"
        )
    return tuple(sizes)


def _vocabulary(reads: Sequence[Lookup], tensor: Tensor) -> VocabularySpec | None:
    """The id space of the one table that the input reads; None where it reads parts of several."""
    sizes = {each.rows for each in reads}
    size = min(sizes, default=0)
    if len(sizes) != 1 or (tensor.numel() and int(tensor.max()) >= size):
        return None
    padding = {each.padding_id for each in reads}
    return VocabularySpec(size=size, padding_id=padding.pop() if len(padding) == 1 else None)


def _feature(
    name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int | str, ...], vocabulary: str | None
) -> Feature:
    if vocabulary is not None:
        kind: Kind = "id_sequence" if tensor.ndim > 1 and tensor.shape[-1] > 1 else "id"
        return Feature(name=name, kind=kind, shape=shape, vocabulary=vocabulary)
    values: dict[str, Any] = {}
    if tensor.numel():
        finite = tensor.double().nan_to_num(0.0, 0.0, 0.0)
        values = {"minimum": float(finite.min()), "maximum": float(finite.max())}
    if tensor.dtype == torch.float32:
        return Feature(name=name, kind="dense", dtype="float32", shape=shape, **values)
    if tensor.dtype == torch.int64:
        return Feature(name=name, kind="dense", dtype="int64", shape=shape, **values)
    if dtype == torch.bool:
        return Feature(name=name, kind="mask", shape=shape)
    is_length = tensor.ndim == 1 and "len" in name.lower()
    return Feature(name=name, kind="length" if is_length else "dense", shape=shape, **values)


def _outputs(
    names: Sequence[str], values: Sequence[Tensor], shapes: Shapes, wide: bool
) -> tuple[Output, ...]:
    whole = {shapes.outputs[n] for n, each in enumerate(values) if not each.is_floating_point()}
    found = []
    for name, value, shape in zip(names, values, shapes.outputs, strict=True):
        if not value.is_floating_point():
            dtype: Any = "int64" if _needs_wide(value, wide) else "int32"
            found.append(Output(name=name, meaning="top_k_ids", dtype=dtype, shape=shape))
        else:
            meaning: Any = "top_k_scores" if shape in whole else "score"
            found.append(Output(name=name, meaning=meaning, shape=shape))
    return tuple(found)


def _needs_wide(value: Tensor, wide: bool) -> bool:
    """Whether an output of whole numbers is int64: it holds larger ones, or comes from what may."""
    if value.dtype != torch.int64 or not value.numel():
        return False
    return wide or any(not -(2**31) <= int(end) < 2**31 for end in value.aminmax())
