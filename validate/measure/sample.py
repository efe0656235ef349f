"""Quality on a runtime that is slow: on all rows where that takes a minute, else on a sample of them.

A browser that plays a GPU in software takes seconds for what a CPU does in milliseconds. The reference
examines the same rows; how many of how many stands in the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import numpy.typing as npt

from pocketrec.evaluation import ClassificationData, EvaluationData, RankingData
from pocketrec.kept import key_of
from pocketrec.validate.measure.ranking import QualityRun

SECONDS = 60.0
_TRIAL = 64  # rows that are timed
_BLOCKS = 8

Quality = Callable[[EvaluationData], QualityRun]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows of evaluation data, in blocks that are spread evenly over all of them.

    Attributes:
        data: all rows.
        blocks: first row and end of each block, in order.
    """

    data: EvaluationData
    blocks: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return sum(last - first for first, last in self.blocks)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The numbers of its rows among all, in order."""
        return np.concatenate([np.arange(first, last) for first, last in self.blocks])

    def sha256(self) -> str:
        """The digest of all the data and of which rows are taken."""
        return key_of(data=self.data.sha256(), blocks=self.blocks)

    def sample(self) -> RankingData | ClassificationData:
        """Some rows of all the data."""
        return self.data.sample()

    def parts(
        self, size: int, start: int = 0, stop: int | None = None
    ) -> Iterator[RankingData | ClassificationData]:
        """The sample's rows from `start` to `stop`, at most `size` at a time, in order."""
        stop, place = len(self) if stop is None else stop, 0
        for first, last in self.blocks:
            low, high = max(start, place), min(stop, place + last - first)
            if low < high:
                yield from self.data.parts(size, first + low - place, first + high - place)
            place += last - first


def spread(data: EvaluationData, rows: int) -> EvaluationData:
    """A sample of about `rows` rows, or the data itself where it has no more."""
    if rows >= len(data):
        return data
    count = min(_BLOCKS, rows)
    starts = [len(data) * each // count for each in range(count)]
    return Sample(data=data, blocks=tuple((each, each + rows // count) for each in starts))


def quality_within(
    artifact: Quality,
    reference: Quality,
    known: QualityRun,
    data: EvaluationData,
    *,
    seconds: float = SECONDS,
) -> tuple[QualityRun, QualityRun]:
    """The reference's and the artifact's quality on the same rows, as many as the artifact has time for.

    Args:
        artifact: gives its quality on such data.
        reference: the same; asked only where a sample is taken.
        known: what the reference reached on all the data.
        data: all of it.
        seconds: that the artifact may take, as far as a trial tells; the trial is not counted.
    """
    trial = spread(data, _TRIAL)
    for _ in range(2):  # the first call of a shape compiles; where that is fast enough, all is
        start = perf_counter()
        found = artifact(trial)
        rows = int(seconds * len(trial) / max(perf_counter() - start, 1e-9))
        if trial is data:
            return known, found
        if rows >= len(data):
            return known, artifact(data)
    chosen = spread(data, max(rows, len(trial)))
    numbers = chosen.rows if isinstance(chosen, Sample) else None
    return replace(reference(chosen), rows=numbers), replace(artifact(chosen), rows=numbers)
