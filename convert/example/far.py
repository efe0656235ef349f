"""Probes far from the example: where a wrong formula, a lost padding or a narrow integer shows itself.

    real numbers   zero, the other sign, a millionth and a hundred times of the example's
    ids of a table the first, the last, padding everywhere, padding on either side at every length
    int64          where int32, float64's whole numbers and int64 end

Columns of whole numbers among the real ones may be ids, and stay. What a contract that was given
declares is kept: there no probe leaves a feature's range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from pocketrec.contract import WIDE_ENDS, Contract, Feature
from pocketrec.convert.example.probes import Answers, Array, Inputs, batched_inputs, whole_columns
from pocketrec.errors import BeyondInt32
from pocketrec.evaluation import FarProbe, FarProbes, Probe

_MOST_ROWS = 64
_UNSTATED = (0.0, 1.0)  # the range of a feature whose contract gives none


def far_probes(
    example: Inputs,
    contract: Contract,
    answers: Answers,
    *,
    within: bool = False,
    function: str = "main",
) -> FarProbes:
    """The probes far from the example on which the module gives finite numbers.

    Args:
        example: arrays by the names of the inputs of the function.
        contract: says which inputs are ids of a table, and what pads them.
        answers: the module's outputs; raises where it does not run.
        within: whether features keep to the range that the contract declares.
        function: of the contract.
    """
    found: list[FarProbe] = []
    left_out: dict[str, str] = {}
    seen = [example, _rows(example, contract, function)]
    for name, inputs in _made(example, contract, within, function):
        if any(_same(inputs, each) for each in seen):
            continue  # nothing of this kind among the inputs
        seen.append(inputs)
        expected, reason = _answered(answers, inputs, within)
        if reason:
            left_out[name] = reason
            continue
        probe = Probe(name=name, inputs=inputs)
        found.append(FarProbe(probe=probe, expected=expected, scaled=name in _FACTORS))
    return FarProbes(probes=tuple(found), left_out=left_out)


def _answered(answers: Answers, inputs: Inputs, within: bool) -> tuple[Mapping[str, Any], str]:
    """What the module gives, or why that is nothing to compare with."""
    try:
        expected = answers(inputs)
    except BeyondInt32 as error:
        if not within:
            raise
        return {}, str(error)
    except Exception as error:  # whatever the module raises: these contents are not for it
        return {}, f"the module raises {type(error).__name__}"
    finite = all(np.isfinite(each).all() for each in expected.values())
    return expected, "" if finite else "the module gives NaN or infinity"


def _same(left: Inputs, right: Inputs) -> bool:
    return all(np.array_equal(left[name], right[name]) for name in left)


_FACTORS = {"a millionth": 1e-6, "a hundred times": 100.0}
_SIGNS = {"zeros": 0.0, "the other sign": -1.0}


def _made(example: Inputs, contract: Contract, within: bool, function: str) -> Iterator[tuple[str, Inputs]]:
    features = contract.functions[function].inputs
    real = [each for each in features if each.dtype == "float32"]
    ids = [each for each in features if each.vocabulary is not None]
    wide = [each for each in features if each.dtype == "int64"]
    for name, factor in (*_SIGNS.items(), *_FACTORS.items()):
        changed = {each.name: _times(example[each.name], factor, each, within) for each in real}
        yield name, {**example, **changed}
    yield "beyond int32", {**example, **{each.name: _ends(example[each.name], each, within) for each in wide}}
    for name, fill in _FILLS.items():
        filled = {each.name: fill(example[each.name], *_space(each, contract)) for each in ids}
        yield name, {**example, **filled}
    rows = _rows(example, contract, function)
    for name, left in (("padding on the left", True), ("padding on the right", False)):
        sides = {each.name: _lengths(rows[each.name], *_space(each, contract), left=left) for each in ids}
        yield name, {**rows, **sides}


def _times(array: Array, factor: float, feature: Feature, within: bool) -> Array:
    times = np.where(whole_columns(array), array, array.astype(np.float64) * factor) + 0.0  # no -0
    low, high = feature.minimum, feature.maximum
    if within and (low, high) != _UNSTATED:
        times = times.clip(low, high)
    return np.asarray(times, np.float32, order="C")


def _ends(array: Array, feature: Feature, within: bool) -> Array:
    low, high = feature.minimum, feature.maximum
    free = not within or (low, high) == _UNSTATED
    ends = [each for each in WIDE_ENDS if free or low <= each <= high]
    return np.resize(np.array(ends, np.int64), array.shape) if ends else array


def _space(feature: Feature, contract: Contract) -> tuple[int, int | None]:
    """How many ids there are, and which pads."""
    known = contract.vocabularies[str(feature.vocabulary)]
    return known.size, known.padding_id


def _rows(example: Inputs, contract: Contract, function: str) -> Inputs:
    """The example's rows again and again, until there is one for every length of its ids."""
    features = contract.functions[function].inputs
    dim, batched = batched_inputs(features)
    ids = [example[each.name] for each in features if each.vocabulary is not None]
    lengths = [each.shape[-1] for each in ids if each.ndim > 1]
    if not batched or not lengths:
        return example
    count = len(example[min(batched)])
    wanted = min(max(lengths) - 1, _MOST_ROWS, contract.bounds(dim)[1])
    index = np.arange(max(wanted, count)) % count
    return {name: array[index] if name in batched else array for name, array in example.items()}


def _first(array: Array, size: int, padding: int | None) -> Array:
    return np.zeros_like(array)


def _last(array: Array, size: int, padding: int | None) -> Array:
    return np.full_like(array, size - 1)


def _padded(array: Array, size: int, padding: int | None) -> Array:
    return array if padding is None else np.full_like(array, padding)


def _lengths(array: Array, size: int, padding: int | None, *, left: bool) -> Array:
    """Row after row more of the last axis filled with padding, up to all but one place."""
    if padding is None or array.ndim < 2 or array.shape[-1] < 2:
        return array
    length = array.shape[-1]
    filled = _unpadded(array, size, padding).reshape(-1, length)
    for row, values in enumerate(filled):
        gap = 1 + row * (length - 2) // max(1, len(filled) - 1)
        values[slice(0, gap) if left else slice(length - gap, length)] = padding
    return filled.reshape(array.shape)


def _unpadded(array: Array, size: int, padding: int) -> Array:
    """The ids with others in the places of padding."""
    other = next((each for each in (size - 1, 0) if each != padding), padding)
    return np.where(array == padding, other, array).astype(array.dtype)


_FILLS: Mapping[str, Callable[[Array, int, int | None], Array]] = {
    "first ids": _first,
    "last ids": _last,
    "nothing but padding": _padded,
}
