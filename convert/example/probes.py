"""Probes made from one example: permuted and resampled contents, a batch of one and of several.

Values are only ever moved between places where the example shows that they belong: rows, or the
rows of one column. Ids are drawn anew only where the table that they read is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Feature
from pocketrec.errors import BeyondInt32, InputError, PocketrecError
from pocketrec.evaluation import Probe
from pocketrec.places import told

Array = npt.NDArray[np.generic]
Inputs = Mapping[str, Array]
Answers = Callable[[Inputs], Mapping[str, Any]]


def proved_probes(
    example: Sequence[Array], contract: Contract, answers: Answers, *, function: str = "main"
) -> tuple[tuple[Probe, ...], tuple[Mapping[str, Any], ...]]:
    """The example and what can be made of it where the module gives numbers, and what it gives.

    Args:
        example: one array per input of the function.
        contract: as for `probes_from_example`.
        answers: the module's outputs; raises where it does not run.
        function: of the contract.

    Raises:
        InputError: the module does not run on the example itself, or gives NaN for it.
        BeyondInt32: a number does not fit the contract's dtype.
    """
    outputs: dict[int, Mapping[str, Any]] = {}

    def runs(inputs: Inputs) -> bool:
        try:
            outputs[id(inputs)] = answers(inputs)
        except BeyondInt32:
            raise
        except Exception:
            return False  # whatever the module raises: these contents are not for it
        return _first_nan(outputs[id(inputs)]) is None

    names = [each.name for each in contract.functions[function].inputs]
    _check_example(answers, dict(zip(names, example, strict=True)))
    probes = probes_from_example(example, contract, runs=runs, function=function)
    runs(probes[0].inputs)
    return probes, tuple(outputs[id(each.inputs)] for each in probes)


def _check_example(answers: Answers, inputs: Inputs) -> None:
    try:
        wrong = _first_nan(answers(inputs))
    except PocketrecError:
        raise
    except Exception as error:
        raise InputError(
            f"the module does not run on its example: {told(error)}; correct the example inputs"
        ) from error
    if wrong is not None:
        held = next((name for name, each in inputs.items() if _has_nan(each)), None)
        cause = "" if held is None else f", whose input {held} holds NaN"
        raise InputError(
            f"the module gives NaN for its example{cause} (output {wrong}); correct the example inputs"
        )


def _first_nan(given: Mapping[str, Any]) -> str | None:
    """The first output that holds NaN."""
    return next((name for name, each in given.items() if _has_nan(each)), None)


def _has_nan(array: Array) -> bool:
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def batched_inputs(features: Sequence[Feature]) -> tuple[str, frozenset[str]]:
    """The dim that leads most inputs, and the inputs that it leads; empty where none is free."""
    leading = [each.shape[0] for each in features if each.shape and isinstance(each.shape[0], str)]
    dim = max(leading, key=leading.count, default="")
    return str(dim), frozenset(each.name for each in features if dim and each.shape[:1] == (dim,))


def probes_from_example(
    example: Sequence[Array],
    contract: Contract,
    *,
    runs: Callable[[Inputs], bool],
    function: str = "main",
    seed: int = 0,
) -> tuple[Probe, ...]:
    """The example and what can be made of it; probes on which the module fails are left out.

    Args:
        example: one array per input of the function.
        contract: says which axis is the batch and which inputs are ids of a table.
        runs: True where the module runs on these inputs.
        function: of the contract.
        seed: the same seed gives the same probes.
    """
    signature = contract.functions[function]
    names = [each.name for each in signature.inputs]
    maker = _Maker(
        example=dict(zip(names, example, strict=True)),
        contract=contract,
        function=function,
        rng=np.random.default_rng(seed),
    )
    first = Probe(name="example", inputs=maker.example)
    return (first, *(each for each in maker.made() if runs(each.inputs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    example: Inputs
    contract: Contract
    function: str
    rng: np.random.Generator

    @property
    def _batched(self) -> frozenset[str]:
        return batched_inputs(self.contract.functions[self.function].inputs)[1]

    @property
    def _smallest(self) -> int:
        """Rows that the contract's smallest batch has."""
        return self.contract.dims[batched_inputs(self.contract.functions[self.function].inputs)[0]].min

    def made(self) -> Iterator[Probe]:
        if self._batched:
            yield from self._by_rows()
        for number in range(2):
            yield self._probe(f"columns shuffled {number}", self._shuffled)
        yield self._probe("values redrawn", self._redrawn)
        if self._batched:
            rows = self._count + 3
            inputs = self._rows(self.rng.integers(0, self._count, rows))
            yield Probe(name=f"values redrawn, batch of {rows}", inputs=self._each(self._redrawn, inputs))

    def _by_rows(self) -> Iterator[Probe]:
        count = self._count
        smallest = self._smallest
        if count > 1:
            yield Probe(name="rows permuted", inputs=self._rows(self.rng.permutation(count)))
            yield Probe(name="rows resampled", inputs=self._rows(self.rng.integers(0, count, count)))
        yield Probe(name="an empty row", inputs=self._emptied(self.example))
        for row in sorted({0, count - 1}):
            yield Probe(name=f"batch of {smallest}, row {row}", inputs=self._rows(np.full(smallest, row)))
        several = count + 3
        yield Probe(name=f"batch of {several}", inputs=self._rows(self.rng.integers(0, count, several)))

    def _emptied(self, inputs: Inputs) -> Inputs:
        """The first row with zeros wherever the example has zeros among whole numbers: nothing in it."""
        changed = dict(inputs)
        for name in self._batched:
            array = inputs[name]
            if array.ndim > 1 and (array == 0).any() and whole_columns(array).all():
                changed[name] = array.copy()
                changed[name][0] = 0
        return changed

    @property
    def _count(self) -> int:
        return len(self.example[min(self._batched)])

    def _rows(self, index: npt.NDArray[np.int64]) -> Inputs:
        return {
            name: np.asarray(array[index], order="C") if name in self._batched else array
            for name, array in self.example.items()
        }

    def _probe(self, name: str, change: Callable[[str, Array], Array]) -> Probe:
        return Probe(name=name, inputs=self._each(change, self.example))

    def _each(self, change: Callable[[str, Array], Array], inputs: Inputs) -> Inputs:
        # Not ascontiguousarray, which gives a scalar an axis.
        return {name: np.asarray(change(name, array), order="C") for name, array in inputs.items()}

    def _shuffled(self, name: str, array: Array) -> Array:
        """Every column in an order of its own; a single row's values in another order."""
        if array.ndim == 0:
            return array
        if len(array) > 1 and name in self._batched:
            order = self.rng.random(array.shape).argsort(axis=0)
            return np.take_along_axis(array, order, axis=0)
        if array.ndim > 1 and self._size(name) is not None:
            return self.rng.permuted(array, axis=-1)
        return array

    def _redrawn(self, name: str, array: Array) -> Array:
        """Ids drawn anew from their table, zeros and padding kept; real numbers moved a little."""
        size = self._size(name)
        if size is not None and size > 2:
            drawn = self.rng.integers(1, size, array.shape)
            padding = self.contract.vocabularies[name].padding_id or 0
            return np.where((array == 0) | (array == padding) | (drawn == padding), array, drawn).astype(
                array.dtype
            )
        if array.dtype == np.float32 and not np.array_equal(array, np.round(array.astype(np.float64))):
            whole = whole_columns(array)
            noise = self.rng.normal(0.0, 0.1, array.shape).astype(np.float32)
            moved = array.astype(np.float32) * (1 + noise)
            return np.where(whole, array, moved).astype(np.float32)
        return self._shuffled(name, array)

    def _size(self, name: str) -> int | None:
        known = self.contract.vocabularies.get(name)
        return known.size if known else None


def whole_columns(array: Array) -> npt.NDArray[np.bool_]:
    """True where the last axis' column holds whole numbers only: it may be an id."""
    values = array.astype(np.float64)
    whole = values == np.round(values)
    if array.ndim < 2:
        return np.full(array.shape, bool(whole.all()))
    return np.broadcast_to(whole.all(axis=tuple(range(array.ndim - 1))), array.shape)
