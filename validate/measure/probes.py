"""Probes: the inputs on which an artifact is compared with the reference.

Probes differ in content, so that a trace that baked an input in is caught.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pocketrec.contract import WIDE_ENDS, Contract, Signature
from pocketrec.evaluation import ClassificationData, Probe, RankingData
from pocketrec.validate.measure.inputs import Maker
from pocketrec.validate.runtimes.fit import padded
from pocketrec.validate.runtimes.runtime import Array, contract_spec

_REAL_SINGLES = 3

Rows = RankingData | ClassificationData


def make_probes(contract: Contract, function: str, data: Rows | None, *, seed: int = 0) -> tuple[Probe, ...]:
    """Probes of a function, all of different content and of shapes that the contract allows.

    Real rows where `data` has the function's inputs; one row and several; shortest and longest
    sequences; all padding; first, last and (where the graph has a guard) unknown ids; dense
    features at both ends. The same arguments give the same probes.
    """
    signature = contract.functions[function]
    maker = Maker(contract=contract, signature=signature, rng=np.random.default_rng(seed))
    probes: list[Probe] = []
    for probe in (*_real(maker, data), *_made(maker)):
        if not any(_same(probe, other) for other in probes):
            probes.append(probe)
    return tuple(probes)


def _same(left: Probe, right: Probe) -> bool:
    return all(np.array_equal(left.inputs[name], right.inputs[name]) for name in left.inputs)


def _real(maker: Maker, data: Rows | None) -> Iterator[Probe]:
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


def _take(maker: Maker, rows: Mapping[str, Array], name: str, index: Any) -> Probe:
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


def _made(maker: Maker) -> Iterator[Probe]:
    yield maker.probe("random row, longest")
    yield maker.probe("random row, shortest", shortest=True)
    if maker.batch > 1:
        yield maker.probe(f"random batch of {maker.batch}", rows=maker.batch)
        yield maker.probe(f"mixed lengths, batch of {maker.batch}", maker.mixed(), rows=maker.batch)
    yield from _made_ids(maker)
    if any(each.kind == "dense" for each in maker.signature.inputs):
        yield maker.probe("dense minimum", maker.dense_end(lowest=True))
        yield maker.probe("dense maximum", maker.dense_end(lowest=False))
    if any(each.dtype == "int64" for each in maker.signature.inputs):
        yield maker.probe("beyond int32", maker.beyond_int32(), rows=len(WIDE_ENDS))


def _made_ids(maker: Maker) -> Iterator[Probe]:
    features = [each for each in maker.signature.inputs if each.vocabulary is not None]
    padded = {each.name for each in features if each.padding_side is not None or each.kind != "id"}
    padded = {name for name in padded if maker.has_padding(maker.signature.input(name))}
    if padded:
        yield maker.probe("all padding", maker.constant(padded, maker.contract.padding_value))
        yield maker.probe("one id, else padding", maker.mixed(least=True))
    if features:
        names = {each.name for each in features}
        yield maker.probe("first id", maker.constant(names, maker.first_id))
        yield maker.probe("last id", maker.constant(names, lambda f: maker.vocabulary_size(f) - 1))
    guarded = {each.name for each in maker.guarded()}
    if guarded:
        yield maker.probe("unknown id -1", maker.constant(guarded, lambda f: -1))
        yield maker.probe("unknown id, one beyond", maker.constant(guarded, maker.vocabulary_size))
        yield maker.probe("unknown id 2147483647", maker.constant(guarded, lambda f: 2**31 - 1))
        yield maker.probe("unknown id among known", maker.sprinkled(guarded))
