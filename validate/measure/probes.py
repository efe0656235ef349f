"""Probes: the inputs on which an artifact is compared with the reference.

Probes differ in content, so that a trace that baked an input in is caught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pocketrec.contract import WHOLE, WIDE_ENDS, Contract, Feature, Signature
from pocketrec.evaluation import ClassificationData, Probe, RankingData
from pocketrec.validate.runtimes.fit import batch_dim, padded
from pocketrec.validate.runtimes.runtime import Array, contract_spec

_SEVERAL = 8  # rows of a batch probe, where the contract allows as many
_REAL_SINGLES = 3


Rows = RankingData | ClassificationData
Fill = Callable[[Feature, tuple[int, ...]], Array]


def make_probes(contract: Contract, function: str, data: Rows | None, *, seed: int = 0) -> tuple[Probe, ...]:
    """Probes of a function, all of different content and of shapes that the contract allows.

    Real rows where `data` has the function's inputs; one row and several; shortest and longest
    sequences; all padding; first, last and (where the graph has a guard) unknown ids; dense
    features at both ends. The same arguments give the same probes.
    """
    signature = contract.functions[function]
    maker = _Maker(contract=contract, signature=signature, rng=np.random.default_rng(seed))
    probes: list[Probe] = []
    for probe in (*_real(maker, data), *_made(maker)):
        if not any(_same(probe, other) for other in probes):
            probes.append(probe)
    return tuple(probes)


def _same(left: Probe, right: Probe) -> bool:
    return all(np.array_equal(left.inputs[name], right.inputs[name]) for name in left.inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Fills a signature's inputs; sequences are filled to `length` of their dims' bounds."""

    contract: Contract
    signature: Signature
    rng: np.random.Generator

    @property
    def batch(self) -> int:
        """Rows of a batch of several."""
        dim = batch_dim(self.signature)
        return (
            1
            if dim is None
            else max(self.contract.bounds(dim)[0], min(_SEVERAL, self.contract.bounds(dim)[1]))
        )

    def probe(self, name: str, fill: Fill | None = None, *, rows: int = 1, shortest: bool = False) -> Probe:
        inputs = {}
        for feature in self.signature.inputs:
            shape = self.shape(feature, rows, shortest)
            inputs[feature.name] = np.asarray((fill or self.random)(feature, shape), order="C")
        return Probe(name=name, inputs=inputs)

    def shape(self, feature: Feature, rows: int, shortest: bool) -> tuple[int, ...]:
        dim = batch_dim(self.signature)
        sizes = []
        for axis, size in enumerate(feature.shape):
            low, high = self.contract.bounds(size)
            leads = axis == 0 and size == dim
            sizes.append(min(max(rows, low), high) if leads else (low if shortest else high))
        return tuple(sizes)

    def random(self, feature: Feature, shape: tuple[int, ...]) -> Array:
        if feature.vocabulary is not None:
            return self.ids(feature, shape)
        if feature.dtype == "bool" or feature.kind == "mask":
            return self.rng.integers(0, 2, shape).astype(feature.dtype)
        if feature.dtype == "float32":
            return self.rng.uniform(feature.minimum, feature.maximum, shape).astype(np.float32)
        low, high = self.whole(feature)
        return self.rng.integers(low, high, shape, np.int64, endpoint=True).astype(feature.dtype)

    def whole(self, feature: Feature) -> tuple[int, int]:
        """Smallest and largest whole number of a feature of whole numbers that is no id."""
        ends = np.iinfo(np.int64 if feature.dtype == "int64" else np.int32)
        low, high = max(int(np.ceil(feature.minimum)), ends.min), min(int(feature.maximum), ends.max)
        return (max(low, 1), max(1, high)) if feature.kind == "length" else (low, max(low, high))

    def ids(self, feature: Feature, shape: tuple[int, ...]) -> Array:
        size = self.contract.vocabularies[str(feature.vocabulary)].size
        return self.rng.integers(self.first_id(feature), size, shape).astype(np.int32)

    def first_id(self, feature: Feature) -> int:
        """The smallest id that stands for something of its own."""
        spec = self.contract.vocabularies[str(feature.vocabulary)]
        aside = {spec.padding_id, spec.unknown_id}
        return next((each for each in range(min(3, spec.size)) if each not in aside), 0)


def _real(maker: _Maker, data: Rows | None) -> Iterator[Probe]:
    rows = _rows_for(maker.signature, data)
    if rows is None:
        return
    count = len(next(iter(rows.values())))
    single = np.unique(np.linspace(0, count - 1, _REAL_SINGLES).astype(int))
    for row in single:
        yield _take(maker, rows, f"real row {row}", np.array([row]))
    if maker.batch > 1 and count > 1:
        several = maker.rng.permutation(count)[: maker.batch]
        yield _take(maker, rows, f"real batch of {len(several)}", several)


def _rows_for(signature: Signature, data: Rows | None) -> Mapping[str, Array] | None:
    if data is None:
        return None
    sides = [data.inputs, data.catalogue] if isinstance(data, RankingData) else [data.inputs]
    names = [each.name for each in signature.inputs]
    return next((side for side in sides if side and all(name in side for name in names)), None)


def _take(maker: _Maker, rows: Mapping[str, Array], name: str, index: Any) -> Probe:
    low = maker.shape(maker.signature.inputs[0], 1, False)[:1]
    index = np.resize(index, max(len(index), low[0] if low else 1))
    inputs = {
        each.name: np.ascontiguousarray(
            padded(
                rows[each.name][index].astype(each.dtype),
                each,
                contract_spec(each, maker.contract),
                maker.contract,
                maker.signature,
            )
        )
        for each in maker.signature.inputs
    }
    return Probe(name=name, inputs=inputs)


def _made(maker: _Maker) -> Iterator[Probe]:
    yield maker.probe("random row, longest")
    yield maker.probe("random row, shortest", shortest=True)
    if maker.batch > 1:
        yield maker.probe(f"random batch of {maker.batch}", rows=maker.batch)
        yield maker.probe(f"mixed lengths, batch of {maker.batch}", _mixed(maker), rows=maker.batch)
    yield from _made_ids(maker)
    if any(each.kind == "dense" for each in maker.signature.inputs):
        yield maker.probe("dense minimum", _dense(maker, lowest=True))
        yield maker.probe("dense maximum", _dense(maker, lowest=False))
    if any(each.dtype == "int64" for each in maker.signature.inputs):
        yield maker.probe("beyond int32", _beyond_int32(maker), rows=len(WIDE_ENDS))


def _made_ids(maker: _Maker) -> Iterator[Probe]:
    features = [each for each in maker.signature.inputs if each.vocabulary is not None]
    padded = {each.name for each in features if each.padding_side is not None or each.kind != "id"}
    padded = {name for name in padded if _has_padding(maker, maker.signature.input(name))}
    if padded:
        yield maker.probe("all padding", _constant(maker, padded, lambda f: maker.contract.padding_value(f)))
        yield maker.probe("one id, else padding", _mixed(maker, least=True))
    if features:
        names = {each.name for each in features}
        yield maker.probe("first id", _constant(maker, names, maker.first_id))
        yield maker.probe("last id", _constant(maker, names, lambda f: _size(maker, f) - 1))
    guarded = {each.name for each in features if maker.contract.guard_id(each) is not None}
    if guarded:
        yield maker.probe("unknown id -1", _constant(maker, guarded, lambda f: -1))
        yield maker.probe("unknown id, one beyond", _constant(maker, guarded, lambda f: _size(maker, f)))
        yield maker.probe("unknown id 2147483647", _constant(maker, guarded, lambda f: 2**31 - 1))
        yield maker.probe("unknown id among known", _sprinkled(maker, guarded))


def _size(maker: _Maker, feature: Feature) -> int:
    return maker.contract.vocabularies[str(feature.vocabulary)].size


def _has_padding(maker: _Maker, feature: Feature) -> bool:
    return maker.contract.vocabularies[str(feature.vocabulary)].padding_id is not None


def _constant(maker: _Maker, names: set[str], value: Callable[[Feature], int]) -> Fill:
    def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
        if feature.name not in names:
            return maker.random(feature, shape)
        return np.full(shape, value(feature), np.int32)

    return fill


def _sprinkled(maker: _Maker, names: set[str]) -> Fill:
    def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
        array = maker.random(feature, shape)
        if feature.name in names and array.size > 1:
            array.reshape(-1)[::3] = _size(maker, feature)
        return array

    return fill


def _mixed(maker: _Maker, *, least: bool = False) -> Fill:
    """Every row filled up with padding to another length; with `least`, one id a row."""

    def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
        array = maker.random(feature, shape)
        if (
            feature.kind not in ("id_sequence", "id_bag")
            or len(shape) < 2
            or not _has_padding(maker, feature)
        ):
            return array
        length = shape[-1]
        for index, row in enumerate(array.reshape(-1, length)):
            keep = 1 if least else 1 + (index * (length - 1)) // max(1, shape[0] - 1)
            gap = slice(0, length - keep) if feature.padding_side == "left" else slice(keep, length)
            row[gap] = maker.contract.padding_value(feature)
        return array

    return fill


def _beyond_int32(maker: _Maker) -> Fill:
    """Where int32 and float64 end, as far as the contract's range goes, where it gives one."""

    def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
        if feature.dtype != "int64":
            return maker.random(feature, shape)
        low, high = maker.whole(feature)
        stated = (feature.minimum, feature.maximum) != (0.0, 1.0)
        ends = [each for each in WIDE_ENDS if not stated or low <= each <= high]
        return np.resize(np.array(ends or [low, high], np.int64), shape)

    return fill


def _dense(maker: _Maker, *, lowest: bool) -> Fill:
    def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
        if feature.kind not in ("dense", "state"):
            return maker.random(feature, shape)
        ends = maker.whole(feature) if feature.dtype in WHOLE else (feature.minimum, feature.maximum)
        return np.full(shape, ends[0] if lowest else ends[1], feature.dtype)

    return fill
