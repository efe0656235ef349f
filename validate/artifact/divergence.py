"""The first divergence: the first op of an artifact whose output leaves the bound around a reference.

    outputs outside? ──▶ halve the way to them, prefix by prefix ──▶ check every tensor before the
    found one, in order ──▶ run the found op's part again, on the reference's inputs

Only tensors that have a partner in the reference are compared. An error need not grow on its way to
the outputs, so halving finds one place where the error begins, and the second step the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pocketrec.origin import Origin
from pocketrec.validate.artifact.graph import Call, Graph, slice_calls
from pocketrec.validate.runtimes.runtime import Array

# Relative; float16 keeps 11 bits, and a few layers of it lose some of them.
FLOAT32_TOLERANCE = 1e-4
FLOAT16_TOLERANCE = 2.0**-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One tensor of an artifact beside its partner.

    Attributes:
        name: in the artifact.
        dtype: as the artifact declares it.
        shape: of its values.
        max_abs_error: largest difference; None where it has no partner, infinite where only one of
            the two is finite, or an integer differs.
        relative_error: largest difference relative to |reference| plus the tensor's typical size.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    max_abs_error: float | None
    relative_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first op whose output leaves the bound.

    Attributes:
        op: the op.
        origin: where it came from in PyTorch; None where the artifact does not say.
        inputs: what it read.
        outputs: what it made.
        own_error: relative error of its output when it gets the reference's inputs: above the bound
            for an op that is wrong, below for one that only amplified what came in.
        others: ops without partners between those inputs and this op; one of them may be the cause.
    """

    op: Call
    origin: Origin | None
    inputs: tuple[Compared, ...]
    outputs: tuple[Compared, ...]
    own_error: float
    others: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An artifact against its reference: the outputs, and where they began to part.

    Attributes:
        tolerance: the bound on the relative error.
        partners: how many tensors could be compared.
        outputs: the artifact's outputs.
        divergence: None where every output is within the bound.
    """

    tolerance: float
    partners: int
    outputs: tuple[Compared, ...]
    divergence: Divergence | None


def find_divergence(
    graph: Graph,
    reference: Callable[[str], Array],
    partners: Mapping[str, str],
    inputs: Mapping[str, Array],
    *,
    tolerance: float | None = None,
) -> Comparison:
    """The artifact's outputs against the reference's, and the first op that left the bound.

    Args:
        graph: the artifact.
        reference: gives the reference's tensor of a name.
        partners: the artifact's tensor to the reference's of the same meaning, all outputs included.
        inputs: what both got.
        tolerance: bound on the relative error; by default 1e-4, or 2^-5 where it computes in float16.
    """
    if tolerance is None:
        tolerance = FLOAT16_TOLERANCE if graph.is_narrow else FLOAT32_TOLERANCE
    search = _Search(graph, reference, partners, inputs, tolerance)
    outputs = [name for name in graph.results if name in partners]
    bad = [name for name in outputs if search.is_bad(name)]
    found = search.first_bad(bad) if bad else None
    return Comparison(
        tolerance=tolerance,
        partners=len(search.partners),
        outputs=tuple(search.compared(name) for name in outputs),
        divergence=None if found is None else search.divergence(found),
    )


class _Search:
    """What is known so far: values of the artifact's tensors, each computed once."""

    def __init__(
        self,
        graph: Graph,
        reference: Callable[[str], Array],
        partners: Mapping[str, str],
        inputs: Mapping[str, Array],
        tolerance: float,
    ) -> None:
        made = {name: place for place, op in enumerate(graph.calls) for name in op.outputs}
        self.partners = {name: each for name, each in partners.items() if name in made}
        self._graph, self._reference, self._made = graph, reference, made
        self._inputs, self._tolerance = inputs, tolerance
        self._values: dict[str, Array] = {}
        self._bad: dict[str, bool] = {}

    def value(self, name: str) -> Array:
        """The artifact's tensor, from the artifact's inputs."""
        if name not in self._values:
            self._values.update(self._graph.evaluate([name], self._inputs))
        return self._values[name]

    def expected(self, name: str) -> Array:
        """The partner, in the shape of the artifact's tensor where the sizes agree."""
        array, shape = self._reference(self.partners[name]), self.value(name).shape
        return array.reshape(shape) if array.size == self.value(name).size else array

    def is_bad(self, name: str) -> bool:
        """True where the tensor has left the bound."""
        if name not in self._bad:
            self._bad[name] = self._check(name)
        return self._bad[name]

    def _check(self, name: str) -> bool:
        if not self._fits(name):
            return name in self._graph.results
        if difference(self.value(name), self.expected(name))[1] <= self._tolerance:
            return False
        # Ids and comparisons of floats flip within the noise of what they look at.
        return not self._is_discrete(name) or self._own_error(name) > self._tolerance

    def _fits(self, name: str) -> bool:
        return self.value(name).size == self._reference(self.partners[name]).size

    def _is_discrete(self, name: str) -> bool:
        return self._reference(self.partners[name]).dtype.kind in "biu"

    def first_bad(self, bad: Sequence[str]) -> str:
        """The first tensor in the order of execution, of those that lead to `bad`, that left the bound."""
        way = self._on_the_way(bad)
        low, high = -1, min(way.index(name) for name in bad)
        while high - low > 1:
            middle = (low + high) // 2
            if self.is_bad(way[middle]):
                high = middle
            else:
                low = middle
        before = self._on_the_way([way[high]])
        return next(name for name in before if self.is_bad(name))

    def _on_the_way(self, names: Sequence[str]) -> list[str]:
        places = slice_calls(self._graph.calls, names, self._inputs.keys())
        made = (name for place in places for name in self._graph.calls[place].outputs)
        return [name for name in made if name in self.partners]

    def _part(self, name: str) -> tuple[list[int], dict[str, Array]]:
        """The ops between the nearest partners and the tensor, and the reference's values of these."""
        partners = {each for each in self.partners if each != name}
        while True:
            known = partners | set(self._inputs)
            places = slice_calls(self._graph.calls, [name], known)
            read = {each for place in places for each in self._graph.calls[place].inputs} & known
            unfit = {each for each in read & partners if not self._fits(each)}
            if not unfit:
                break
            partners -= unfit
        given = {each: self.expected(each) for each in sorted(read & partners)}
        return places, {**self._inputs, **given}

    def _own_error(self, name: str) -> float:
        """The tensor's relative error where its part of the program gets the reference's inputs."""
        _, given = self._part(name)
        value, expected = self._graph.evaluate([name], given)[name], self.expected(name)
        if value.size != expected.size:
            return float("inf")
        error = difference(value, expected)[1]
        if error > self._tolerance and self._is_discrete(name):
            scores = [given[each] for each in self._graph.calls[self._made[name]].inputs if each in given]
            if any(_are_ties(value, expected, each, self._tolerance) for each in scores):
                return 0.0
        return error

    def compared(self, name: str) -> Compared:
        """The tensor with its errors."""
        given = name in self._inputs
        value = np.asarray(self._inputs[name]) if given else self.value(name)
        absolute: float | None = 0.0 if given else None
        relative = absolute
        if name in self.partners:
            absolute, relative = difference(value, self.expected(name))
        return Compared(
            name=name,
            dtype=self._graph.dtype(name) or str(value.dtype),
            shape=value.shape,
            max_abs_error=absolute,
            relative_error=relative,
        )

    def divergence(self, name: str) -> Divergence:
        """Everything about the op that made the tensor."""
        place = self._made[name]
        op = self._graph.calls[place]
        places, _ = self._part(name)
        return Divergence(
            op=op,
            origin=self._graph.origins.get(name),
            inputs=tuple(self.compared(each) for each in op.inputs),
            outputs=tuple(self.compared(each) for each in op.outputs),
            own_error=self._own_error(name),
            others=tuple(self._graph.calls[each] for each in places if each != place),
        )


def difference(actual: Array, expected: Array) -> tuple[float, float]:
    """The largest absolute and the largest relative difference of two arrays of one shape.

    Relative is |a - r| / (|r| + s), where s is the median of the distinct magnitudes in r: a mask of
    -1e4 in most places counts once, and numbers near zero are measured against their neighbours.
    Infinite where the shapes differ, where integers differ, or where only one is finite.
    """
    if actual.shape != expected.shape:
        return float("inf"), float("inf")
    if not actual.size:
        return 0.0, 0.0
    a, r = actual.astype(np.float64), expected.astype(np.float64)
    same = (a == r) | (np.isnan(a) & np.isnan(r))
    if same.all():
        return 0.0, 0.0
    if expected.dtype.kind in "biu" or not (np.isfinite(a) & np.isfinite(r))[~same].all():
        return float("inf"), float("inf")
    gap = np.abs(a - r)[~same]
    magnitudes = np.unique(np.abs(r[np.isfinite(r) & (r != 0)]))
    typical = float(np.median(magnitudes)) if magnitudes.size else 1.0
    return float(gap.max()), float((gap / (np.abs(r)[~same] + typical)).max())


def _are_ties(actual: Array, expected: Array, scores: Array, tolerance: float) -> bool:
    """True where ids that differ have scores that do not, as the last axis of `scores` says."""
    if scores.dtype.kind != "f" or scores.ndim != actual.ndim or scores.shape[:-1] != actual.shape[:-1]:
        return False
    chosen: npt.NDArray[np.int64] = actual.astype(np.int64)
    if not actual.ndim or ((chosen < 0) | (chosen >= scores.shape[-1])).any():
        return False
    one = np.take_along_axis(scores, chosen, axis=-1)
    other = np.take_along_axis(scores, expected.astype(np.int64), axis=-1)
    return difference(one, other)[1] <= tolerance
