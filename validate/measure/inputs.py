"""From the contract to inputs: what fills each feature, for probes and for stress alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from pocketrec.contract import WHOLE, WIDE_ENDS, Contract, Feature, Signature
from pocketrec.evaluation import Probe
from pocketrec.validate.runtimes.fit import batch_dim
from pocketrec.validate.runtimes.runtime import Array

_SEVERAL = 8  # rows of a batch probe, where the contract allows as many
SEQUENCES = ("id_sequence", "id_bag")

Fill = Callable[[Feature, tuple[int, ...]], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Fills a signature's inputs within the contract; the same random numbers for the same calls.

    Attributes:
        contract: of the model.
        signature: of the function.
        rng: what is random is drawn from it.
        sizes: of dims that are another than their largest.
    """

    contract: Contract
    signature: Signature
    rng: np.random.Generator
    sizes: Mapping[str, int] = field(default_factory=dict)

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
        """A probe of `rows` rows, or as many as the contract allows; sequences of the longest or shortest."""
        inputs = {}
        for feature in self.signature.inputs:
            shape = self.shape(feature, rows, shortest)
            inputs[feature.name] = np.asarray((fill or self.random)(feature, shape), order="C")
        return Probe(name=name, inputs=inputs)

    def shape(self, feature: Feature, rows: int, shortest: bool = False) -> tuple[int, ...]:
        """The shape of a feature of `rows` rows, or as many as the contract allows."""
        dim = batch_dim(self.signature)
        sizes = []
        for axis, size in enumerate(feature.shape):
            low, high = self.contract.bounds(size)
            leads = axis == 0 and size == dim
            longest = self.sizes.get(str(size), high)
            sizes.append(min(max(rows, low), high) if leads else (low if shortest else longest))
        return tuple(sizes)

    def random(self, feature: Feature, shape: tuple[int, ...]) -> Array:
        """Values of the feature, each as likely as any other."""
        if feature.vocabulary is not None:
            return self.rng.integers(self.first_id(feature), self.vocabulary_size(feature), shape).astype(
                np.int32
            )
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

    def first_id(self, feature: Feature) -> int:
        """The smallest id that stands for something of its own."""
        spec = self.contract.vocabularies[str(feature.vocabulary)]
        return next((each for each in range(min(3, spec.size)) if each not in spec.aside), 0)

    def vocabulary_size(self, feature: Feature) -> int:
        """How many ids there are of the feature's."""
        return self.contract.vocabularies[str(feature.vocabulary)].size

    def guarded(self) -> list[Feature]:
        """The features whose ids from outside become another inside of the graph."""
        return [each for each in self.signature.inputs if self.contract.guard_id(each) is not None]

    def has_padding(self, feature: Feature) -> bool:
        """Whether some id of the feature stands for nothing."""
        return self.contract.vocabularies[str(feature.vocabulary)].padding_id is not None

    def constant(self, names: Collection[str], value: Callable[[Feature], int]) -> Fill:
        """One id in every place of the features of these names."""

        def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
            if feature.name not in names:
                return self.random(feature, shape)
            return np.full(shape, value(feature), np.int32)

        return fill

    def sprinkled(self, names: Collection[str]) -> Fill:
        """Ids of which every third is beyond the vocabulary, in the features of these names."""

        def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
            array = self.random(feature, shape)
            if feature.name in names and array.size > 1:
                array.reshape(-1)[::3] = self.vocabulary_size(feature)
            return array

        return fill

    def mixed(self, *, least: bool = False) -> Fill:
        """Every row filled up with padding to another length; with `least`, one id a row."""

        def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
            array = self.random(feature, shape)
            if feature.kind not in SEQUENCES or len(shape) < 2 or not self.has_padding(feature):
                return array
            length = shape[-1]
            for index, row in enumerate(array.reshape(-1, length)):
                keep = 1 if least else 1 + (index * (length - 1)) // max(1, shape[0] - 1)
                self.pad(feature, row, keep)
            return array

        return fill

    def pad(self, feature: Feature, row: Array, keep: int) -> None:
        """Fills a row of ids with padding, but for `keep` of them."""
        row[gap(feature, len(row), keep)] = self.contract.padding_value(feature)

    def beyond_int32(self) -> Fill:
        """Where int32 and float64 end, as far as the contract's range goes, where it gives one."""

        def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
            if feature.dtype != "int64":
                return self.random(feature, shape)
            low, high = self.whole(feature)
            stated = (feature.minimum, feature.maximum) != (0.0, 1.0)
            ends = [each for each in WIDE_ENDS if not stated or low <= each <= high]
            return np.resize(np.array(ends or [low, high], np.int64), shape)

        return fill

    def dense_end(self, *, lowest: bool) -> Fill:
        """Every number at one end of its range."""

        def fill(feature: Feature, shape: tuple[int, ...]) -> Array:
            if feature.kind not in ("dense", "state"):
                return self.random(feature, shape)
            ends = self.whole(feature) if feature.dtype in WHOLE else (feature.minimum, feature.maximum)
            return np.full(shape, ends[0] if lowest else ends[1], feature.dtype)

        return fill


def gap(feature: Feature, length: int, keep: int) -> slice:
    """Where a row of so many places is padding, if it keeps so many."""
    return slice(0, length - keep) if feature.padding_side == "left" else slice(keep, length)
