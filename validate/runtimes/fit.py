"""Any rows that the contract allows, on an artifact whose shapes may be fixed.

rows ──▶ batches the artifact takes ──▶ padded to its lengths ──▶ run ──▶ cut, joined
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.errors import ExecutionError, InputError
from pocketrec.validate.runtimes.runtime import Array, Runtime, TensorSpec, as_promised

_CHUNK = 256  # rows per call where neither the artifact nor the contract sets a limit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """One allowed range of an axis; `high` is None where there is no limit."""

    low: int
    high: int | None

    def nearest(self, size: int) -> int:
        """The smallest allowed size that holds `size`; the largest where none does."""
        size = max(size, self.low)
        return size if self.high is None else min(size, self.high)


def run_fitted(
    runtime: Runtime,
    contract: Contract,
    signature: Signature,
    inputs: Mapping[str, Array],
    *,
    rows: int = _CHUNK,
) -> dict[str, Array]:
    """All outputs by name for all rows, whatever batch and lengths the artifact was built for.

    Rows are split into batches that `runtime.describe()` accepts; where the batch is fixed, the last
    one is filled by repeating its last row and cut again. Id axes shorter than the artifact's are
    filled with the contract's padding value on the feature's padding side, and what runs along them,
    such as a mask, with zeros on the same side.

    Raises:
        InputError: an input is missing, or longer than the artifact takes.
        ExecutionError: an output has another number of rows than its inputs.
    """
    parts = [
        _cut(as_promised(runtime.run(chunk), signature), count, signature, inputs)
        for chunk, count in fit_to(runtime.describe().inputs, contract, signature, inputs, rows=rows)
    ]
    return {name: _join(name, [part[name] for part in parts], signature) for name in parts[0]}


def fit_inputs(
    runtime: Runtime, contract: Contract, signature: Signature, inputs: Mapping[str, Array]
) -> list[tuple[dict[str, Array], int]]:
    """The calls that `run_fitted` makes: inputs as the artifact takes them, and how many rows are real."""
    return fit_to(runtime.describe().inputs, contract, signature, inputs)


def fit_to(
    taken: Sequence[TensorSpec],
    contract: Contract,
    signature: Signature,
    inputs: Mapping[str, Array],
    *,
    rows: int = _CHUNK,
) -> list[tuple[dict[str, Array], int]]:
    """The same for an artifact that takes inputs of these specs, and need not be loaded; `rows` at most."""
    specs = {spec.name: spec for spec in taken}
    missing = [each.name for each in signature.inputs if each.name not in inputs]
    if missing:
        raise InputError(f"input {missing[0]!r} is missing; given: {', '.join(sorted(inputs)) or 'none'}")
    dim = batch_dim(signature)
    fitted = {
        each.name: padded(inputs[each.name], each, specs.get(each.name), contract, signature)
        for each in signature.inputs
    }
    if dim is None:
        return [(fitted, 0)]
    batched = {each.name for each in signature.inputs if each.shape and each.shape[0] == dim}
    return _chunks(fitted, batched, _batch_size(specs, signature, contract, dim, rows))


def batch_dim(signature: Signature) -> str | None:
    """The name of the dim that leads the inputs; None where the first axis has a fixed size."""
    leading = {each.shape[0] for each in signature.inputs if each.shape and isinstance(each.shape[0], str)}
    return str(next(iter(leading))) if len(leading) == 1 else None


def _allowed(spec: TensorSpec, axis: int) -> _Size:
    if spec.enumerated:
        sizes = [shape[axis] for shape in spec.enumerated]
        return _Size(low=max(sizes), high=max(sizes))
    if axis < len(spec.bounds):
        return _Size(low=spec.bounds[axis][0], high=spec.bounds[axis][1])
    size = spec.shape[axis] if axis < len(spec.shape) else None
    return _Size(low=size or 1, high=size)


def _batch_size(
    specs: Mapping[str, TensorSpec], signature: Signature, contract: Contract, dim: str, most: int
) -> _Size:
    """The batch sizes that every input of the artifact and the contract allow, `most` where they can."""
    sizes = [
        _allowed(specs[each.name], 0)
        for each in signature.inputs
        if each.name in specs and each.shape and each.shape[0] == dim
    ]
    highs = [size.high for size in sizes if size.high is not None]
    low = max((size.low for size in sizes), default=1)
    return _Size(low=low, high=max(low, min([*highs, contract.bounds(dim)[1], most])))


def _chunks(
    inputs: Mapping[str, Array], batched: set[str], size: _Size
) -> list[tuple[dict[str, Array], int]]:
    assert size.high is not None
    rows = len(inputs[next(iter(sorted(batched)))])
    chunks = []
    for start in range(0, rows, size.high):
        count = min(size.high, rows - start)
        index = np.minimum(np.arange(start, start + size.nearest(count)), rows - 1)
        chunk = {name: array[index] if name in batched else array for name, array in inputs.items()}
        chunks.append((chunk, count))
    if not chunks:
        raise InputError(f"input {min(batched)!r} has no rows; pass at least one")
    return chunks


def padded(
    array: Array, feature: Feature, spec: TensorSpec | None, contract: Contract, signature: Signature
) -> Array:
    """Ids, and what runs along them, filled to the nearest length that `spec` allows.

    Raises:
        InputError: they are longer.
    """
    if spec is None:
        return array
    widths = []
    for axis, size in enumerate(array.shape):
        source = filled_like(feature, axis, signature)
        lacking = 0 if source is None else _allowed(spec, axis).nearest(size) - size
        if lacking < 0:
            what = "ids" if feature.is_id else "entries"
            raise InputError(
                f"input {feature.name!r} has {size} {what} along axis {axis}; the artifact takes "
                f"{size + lacking} at most; cut the list"
            )
        left = source is not None and source.padding_side == "left"
        widths.append((lacking, 0) if left else (0, lacking))
    if not any(sum(width) for width in widths):
        return array
    return np.pad(array, widths, constant_values=contract.padding_value(feature) if feature.is_id else 0)


def filled_like(feature: Feature, axis: int, signature: Signature) -> Feature | None:
    """The ids that say how an axis is filled: the feature's own, or those that it runs along."""
    size = feature.shape[axis] if axis < len(feature.shape) else None
    if feature.is_id:
        return None if axis == 0 and isinstance(size, str) else feature
    if axis == 0 or not isinstance(size, str) or feature.kind == "state":
        return None
    return next((each for each in signature.inputs if each.is_id and size in each.shape[1:]), None)


def _cut(
    outputs: Mapping[str, Array], rows: int, signature: Signature, inputs: Mapping[str, Array]
) -> dict[str, Array]:
    """The outputs without the rows and places that were only filled in."""
    dim = batch_dim(signature)
    known = {each.name: each for each in signature.outputs}
    cut: dict[str, Array] = {}
    for name, array in outputs.items():
        out = known.get(name)
        if out is not None and rows and out.shape and out.shape[0] == dim:
            if array.ndim == 0 or len(array) < rows:
                raise ExecutionError(f"output {name!r} has shape {array.shape}; expected {rows} rows")
            array = array[:rows]
        cut[name] = array if out is None else _unpad(array, out, signature, inputs)
    return cut


def _unpad(array: Array, out: Output, signature: Signature, inputs: Mapping[str, Array]) -> Array:
    """The output cut to the input's length along axes that share a dim with a padded input."""
    for axis, size in enumerate(out.shape):
        if axis == 0 or not isinstance(size, str) or axis >= array.ndim:
            continue
        for feature in signature.inputs:
            if size not in feature.shape[1:] or not feature.is_id:
                continue
            length = inputs[feature.name].shape[feature.shape.index(size, 1)]
            keep = np.arange(length)
            if feature.padding_side == "left":
                keep += array.shape[axis] - length
            array = np.take(array, keep, axis=axis) if array.shape[axis] > length else array
            break
    return array


def _join(name: str, parts: list[Array], signature: Signature) -> Array:
    dim = batch_dim(signature)
    out = next((each for each in signature.outputs if each.name == name), None)
    if out is not None and (not out.shape or out.shape[0] != dim):
        return parts[0]
    return np.concatenate(parts) if parts[0].ndim else parts[0]
