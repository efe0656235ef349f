"""Histories of so many entries and streams of ids: rows padded as an app pads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pocketrec.contract import Feature
from pocketrec.validate.measure.inputs import SEQUENCES, Fill, Maker, gap
from pocketrec.validate.runtimes.fit import batch_dim, filled_like
from pocketrec.validate.runtimes.runtime import Array

ZIPF = 1.1  # the exponent: an id of rank r comes r^-1.1 times as often as the first

Draw = Callable[[Maker, Feature, tuple[int, ...]], Array]


def uniform(maker: Maker, feature: Feature, shape: tuple[int, ...]) -> Array:
    return maker.random(feature, shape)


def zipf(maker: Maker, feature: Feature, shape: tuple[int, ...]) -> Array:
    """Ids whose share falls with their place, by inverting the continuous law between 1 and their number."""
    first, size = maker.first_id(feature), maker.vocabulary_size(feature)
    power = 1 - ZIPF
    ranks = (1 + maker.rng.random(shape) * (float(size - first + 1) ** power - 1)) ** (1 / power)
    drawn: Array = np.minimum(first + ranks.astype(np.int64) - 1, size - 1).astype(np.int32)
    return drawn


def stream(maker: Maker, draw: Draw, rows: int) -> dict[str, Array]:
    """So many rows of ids that are drawn so, in histories of any length; more than a batch may have."""

    def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
        return draw(maker, feature, shape) if feature.is_id else maker.random(feature, shape)

    dim = batch_dim(maker.signature)
    batched = {each.name for each in maker.signature.inputs if dim is not None and each.shape[:1] == (dim,)}
    inputs = {}
    for feature in maker.signature.inputs:
        shape = maker.shape(feature, rows)
        inputs[feature.name] = fill(feature, (rows, *shape[1:]) if feature.name in batched else shape)
    longest = max(
        (maker.shape(each, 1)[-1] for each in maker.signature.inputs if each.kind in SEQUENCES), default=0
    )
    _pad(maker, inputs, maker.rng.integers(0, longest, rows, endpoint=True).tolist())
    return inputs


def kept(maker: Maker, fill: Fill, keeps: Sequence[int]) -> dict[str, Array]:
    """A row for each of `keeps`, of so many entries; without any, one full row."""
    inputs = {}
    for feature in maker.signature.inputs:
        inputs[feature.name] = fill(feature, maker.shape(feature, max(1, len(keeps))))
    rows = max(1, len(keeps), *(len(each) for each in inputs.values() if each.ndim))
    _pad(maker, inputs, np.resize(keeps or [2**31 - 1], rows).tolist())
    return inputs


def _pad(maker: Maker, inputs: Mapping[str, Array], keeps: Sequence[int]) -> None:
    """Pads the sequences of each row but for so many entries, and what runs along them as an app does."""
    for feature in maker.signature.inputs:
        array = inputs[feature.name]
        if feature.kind in SEQUENCES and maker.has_padding(feature):
            flat = array.reshape(-1, array.shape[-1])
            for row, keep in zip(flat, np.repeat(keeps, -(-len(flat) // len(keeps))), strict=False):
                maker.pad(feature, row, min(int(keep), len(row)))
        elif feature.kind == "length" and array.shape[:1] == (len(keeps),):
            low, high = maker.whole(feature)
            array[:] = np.clip(keeps, low, high).reshape(-1, *[1] * (array.ndim - 1))
        elif feature.kind != "length":
            _along(maker, feature, array, keeps)


def _along(maker: Maker, feature: Feature, array: Array, keeps: Sequence[int]) -> None:
    """Zeros where the sequence is padded that the feature runs along; a mask has ones elsewhere."""
    for axis in range(1, array.ndim):
        source = None if feature.is_id else filled_like(feature, axis, maker.signature)
        if source is None or len(array) != len(keeps) or not maker.has_padding(source):
            continue
        places = np.moveaxis(array, axis, 1)
        for row, keep in zip(places, keeps, strict=True):
            if feature.kind == "mask":
                row[...] = 1
            row[gap(source, len(row), min(keep, len(row)))] = 0
