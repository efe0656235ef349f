"""From the contract to stress cases: the ends of everything that it allows, and what it forbids.

    batches          every kind of batch size: both ends, their neighbours, one between
    lengths          the same of every dim that is no batch
    histories        empty, of one entry, almost full, full; one item throughout, two in turn
    ids              each feature's first and last ids, and those set aside
    unknown ids      each guarded feature from outside of its vocabulary, whole and at one place
    forbidden ids    each feature without a guard from outside, which the model refuses
    numbers          zeros of both signs, denormals, ±1e-6, ±1e4 and the ends, within the stated range
    streams          ids uniform over the vocabulary, and by Zipf's law, in histories of any length

What probes ask already (everything at one end at once) is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import isqrt, prod

import numpy as np

from pocketrec.contract import WHOLE, WIDE_ENDS, Contract, Feature, Output, Signature
from pocketrec.errors import RecipeError
from pocketrec.evaluation import Arrays
from pocketrec.recipe import Stress
from pocketrec.validate.measure.inputs import SEQUENCES, Fill, Maker
from pocketrec.validate.measure.streams import ZIPF, kept, stream, uniform, zipf
from pocketrec.validate.runtimes.fit import batch_dim
from pocketrec.validate.runtimes.runtime import Array

_OUTSIDE = (-1, -(2**31), 2**31 - 1)  # and the vocabulary's size
_NUMBERS = (0.0, -0.0, 1e-45, -1e-45, 1e-39, 1e-6, -1e-6, 1e4, -1e4)
_UNKNOWN_SHARE = 0.05  # of the ids in a stream
_MOST_ROWS = 1024  # of a batch
MOST_NUMBERS = 1 << 23  # that go in and come out of one call


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to ask of an artifact.

    Attributes:
        kind: what it is about.
        name: what is asked, within the kind.
        inputs: of one row or more; empty where it is left out.
        forbidden: whether the contract says that no caller asks it.
        alone: whether it must be a call of its own.
        exact: whether an artifact of other shapes cannot take its place, as apps never ask it of one.
        left_out: why it is not asked; empty where it is.
    """

    kind: str
    name: str
    inputs: Arrays = field(default_factory=dict)
    forbidden: bool = False
    alone: bool = False
    exact: bool = False
    left_out: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def make_cases(contract: Contract, function: str, stress: Stress, *, seed: int = 0) -> tuple[Case, ...]:
    """The cases of a function; the same arguments give the same cases.

    Args:
        contract: of the model.
        function: its name.
        stress: how many rows a stream has.
        seed: of what is random.
    """
    signature = contract.functions[function]
    maker = Maker(contract=contract, signature=signature, rng=np.random.default_rng((seed, 1)))
    most = most_rows(contract, signature)
    rows = min(stress.rows, most) if stacks(signature) else 1
    cases = (
        *_batches(maker, most),
        *_lengths(maker),
        *_histories(maker),
        *_ids(maker),
        *_unknown(maker),
        *_forbidden(maker),
        *_numbers(maker),
        *_streams(maker, rows),
    )
    return tuple(
        replace(each, inputs={}, left_out="stress.leave_out names it") if _named(each, stress) else each
        for each in cases
    )


def check_left_out(contract: Contract, stress: Stress) -> None:
    """Checks that everything that is to be left out is a case; RecipeError where it is none."""
    names = contract.functions if stress.leave_out else ()
    cases = [each for name in names for each in make_cases(contract, name, stress)]
    for pattern in stress.leave_out:
        if not any(fnmatchcase(str(each), pattern) for each in cases):
            raise RecipeError(
                f"stress.leave_out: {pattern!r} is no case; expected one such as 'histories: empty', as the "
                "report names them"
            )


def _named(case: Case, stress: Stress) -> bool:
    return any(fnmatchcase(str(case), pattern) for pattern in stress.leave_out)


def stacks(signature: Signature) -> bool:
    """Whether rows of several cases can be one call: every input and output has a row for each."""
    dim = batch_dim(signature)
    sides: tuple[Feature | Output, ...] = (*signature.inputs, *signature.outputs)
    return dim is not None and all(each.shape[:1] == (dim,) for each in sides)


def most_rows(contract: Contract, signature: Signature) -> int:
    """How many rows are asked at once, so that a large catalogue's answers fit in memory."""
    sides: tuple[Feature | Output, ...] = (*signature.inputs, *signature.outputs)
    numbers = sum(prod(contract.bounds(size)[1] for size in each.shape[1:]) for each in sides)
    return min(_MOST_ROWS, max(1, MOST_NUMBERS // numbers))


def ends_and_between(low: int, high: int) -> tuple[int, ...]:
    """Both ends, their neighbours, and one size between, each once."""
    sizes = {low, low + 1, isqrt(max(low, 1) * high), high - 1, high}
    return tuple(sorted(each for each in sizes if low <= each <= high))


def _batches(maker: Maker, most: int) -> Iterator[Case]:
    dim = batch_dim(maker.signature)
    if dim is None:
        return
    low, high = maker.contract.bounds(dim)
    for size in ends_and_between(low, max(low, min(high, most))):
        yield Case(
            kind="batches", name=str(size), inputs=stream(maker, uniform, size), alone=True, exact=True
        )
    if max(low, most) < high:
        reason = f"more than {most} rows, or than {MOST_NUMBERS} numbers, are not asked at once"
        yield Case(kind="batches", name=str(high), left_out=reason)


def _lengths(maker: Maker) -> Iterator[Case]:
    leading = batch_dim(maker.signature)
    names = [size for each in maker.signature.inputs for size in each.shape if isinstance(size, str)]
    for name in dict.fromkeys(names):
        low, high = maker.contract.bounds(name)
        for size in ends_and_between(low, high) if name != leading and low < high else ():
            inputs = replace(maker, sizes={name: size}).probe(name).inputs
            yield Case(kind="lengths", name=f"{name} {size}", inputs=inputs, alone=True)


def _histories(maker: Maker) -> Iterator[Case]:
    features = [each for each in maker.signature.inputs if each.kind in SEQUENCES]
    if not features:
        return
    longest = max(maker.shape(each, 1)[-1] for each in features)
    if any(maker.has_padding(each) for each in features):
        for keep in ends_and_between(0, longest):
            named = {0: "empty", 1: "1 entry", longest: "full"}.get(keep, f"{keep} entries")
            yield Case(kind="histories", name=named, inputs=kept(maker, maker.random, [keep]))
        if any(isinstance(size, str) for each in features for size in each.shape[1:]):
            lows = {size: maker.contract.bounds(size)[0] for size in maker.contract.dims}
            inputs = kept(replace(maker, sizes=lows), maker.random, [0])
            yield Case(kind="histories", name="empty and shortest", inputs=inputs, alone=True, exact=True)
        inputs = kept(maker, maker.random, [0] * maker.batch)
        yield Case(kind="histories", name="every row empty", inputs=inputs, alone=True)
    yield Case(kind="histories", name="one item throughout", inputs=kept(maker, _repeated(maker, 1), []))
    yield Case(kind="histories", name="two items in turn", inputs=kept(maker, _repeated(maker, 2), []))


def _repeated(maker: Maker, count: int) -> Fill:
    """Sequences in which so many items, drawn at random, come in turn."""

    def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
        if feature.kind not in SEQUENCES:
            return maker.random(feature, shape)
        chosen = maker.random(feature, (*shape[:-1], count))
        return np.tile(chosen, -(-shape[-1] // count))[..., : shape[-1]]

    return fill


def _ids(maker: Maker) -> Iterator[Case]:
    for feature in _of_ids(maker):
        spec = maker.contract.vocabularies[str(feature.vocabulary)]
        ends = (0, maker.first_id(feature), spec.padding_id, spec.unknown_id, spec.size - 2, spec.size - 1)
        fills = feature.kind in SEQUENCES and spec.padding_id is not None  # an empty history
        for value in sorted({each for each in ends if each is not None and each >= 0}):
            if not (fills and value == spec.padding_id):
                inputs = maker.probe("", maker.constant([feature.name], _always(value))).inputs
                yield Case(kind="ids", name=f"{feature.name} = {value}", inputs=inputs)


def _always(value: int) -> Callable[[Feature], int]:
    return lambda _: value


def _of_ids(maker: Maker) -> list[Feature]:
    return [each for each in maker.signature.inputs if each.is_id]


def _unknown(maker: Maker) -> Iterator[Case]:
    for feature in maker.guarded():
        for value in (maker.vocabulary_size(feature), *_OUTSIDE):
            inputs = maker.probe("", maker.constant([feature.name], _always(value))).inputs
            yield Case(kind="unknown ids", name=f"{feature.name} = {value}", inputs=inputs)
        if feature.kind in SEQUENCES and maker.shape(feature, 1)[-1] > 1:
            for place, named in ((0, "begins with"), (-1, "ends with")):
                value = maker.vocabulary_size(feature)
                inputs = _placed(maker, feature, value, place)
                yield Case(kind="unknown ids", name=f"{feature.name} {named} {value}", inputs=inputs)


def _forbidden(maker: Maker) -> Iterator[Case]:
    guarded = {each.name for each in maker.guarded()}
    for feature in _of_ids(maker):
        for value in () if feature.name in guarded else (maker.vocabulary_size(feature), *_OUTSIDE):
            yield Case(
                kind="forbidden ids",
                name=f"{feature.name} holds {value}",
                inputs=_placed(maker, feature, value, -1),
                forbidden=True,
                alone=True,
            )


def _placed(maker: Maker, feature: Feature, value: int, place: int) -> dict[str, Array]:
    """Random inputs, with one id at the first or last place of the feature."""
    inputs = dict(maker.probe("").inputs)
    inputs[feature.name].reshape(-1)[place] = value
    return inputs


def _numbers(maker: Maker) -> Iterator[Case]:
    dense = [each for each in maker.signature.inputs if each.kind in ("dense", "state", "length")]
    floats = [each for each in dense if each.dtype == "float32"]
    for value in _NUMBERS:
        if any(each.minimum <= value <= each.maximum for each in floats):
            yield Case(
                kind="numbers", name=f"{value:g}", inputs=maker.probe("", _valued(maker, value)).inputs
            )
    for feature in floats:
        for value in (feature.minimum, feature.maximum) if len(floats) > 1 else ():
            inputs = maker.probe("", _valued(maker, value, feature.name)).inputs
            yield Case(kind="numbers", name=f"{feature.name} = {value:g}", inputs=inputs)
    for feature in dense:
        for whole in _wholes(maker, feature) if feature.dtype in WHOLE else ():
            inputs = maker.probe("", _valued(maker, whole, feature.name)).inputs
            yield Case(kind="numbers", name=f"{feature.name} = {whole}", inputs=inputs)


def _wholes(maker: Maker, feature: Feature) -> list[int]:
    low, high = maker.whole(feature)
    return sorted({each for each in (low, -1, 0, 1, high, *WIDE_ENDS) if low <= each <= high})


def _valued(maker: Maker, value: float, name: str = "") -> Fill:
    """One number in every place of the feature of that name, or of all floats whose range has it."""

    def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
        within = feature.kind in ("dense", "state") and feature.dtype == "float32"
        within = within and feature.minimum <= value <= feature.maximum
        if not (feature.name == name if name else within):
            return maker.random(feature, shape)
        return np.full(shape, value, feature.dtype)

    return fill


def _streams(maker: Maker, rows: int) -> Iterator[Case]:
    if not _of_ids(maker):
        return
    for name, draw in (("uniform", uniform), (f"Zipf {ZIPF}", zipf)):
        yield Case(kind="streams", name=name, inputs=stream(maker, draw, rows), alone=True)
    if maker.guarded():
        inputs = stream(maker, zipf, rows)
        for feature in maker.guarded():
            unknown = maker.rng.random(inputs[feature.name].shape) < _UNKNOWN_SHARE
            inputs[feature.name][unknown] = maker.vocabulary_size(feature)
        yield Case(kind="streams", name=f"Zipf {ZIPF} with unknown ids", inputs=inputs, alone=True)
