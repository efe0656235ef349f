"""The evaluations of a recipe: what the reference reached on the data of each, and an artifact beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pocketrec.contract import Contract
from pocketrec.errors import CheckFailed, InputError, UnsupportedOp
from pocketrec.evaluation import Asked
from pocketrec.progress import Progress
from pocketrec.recipe import Gates
from pocketrec.report import RankingParity, TensorParity
from pocketrec.validate.measure.compare import compare_quality
from pocketrec.validate.measure.quality import Runtimes, quality_of
from pocketrec.validate.measure.ranking import QualityRun
from pocketrec.validate.measure.rows import check_rows
from pocketrec.validate.measure.sample import quality_within
from pocketrec.validate.measure.slices import Facts, facts_of
from pocketrec.validate.measure.tolerances import tie_tolerance
from pocketrec.validate.measure.user_lists import user_lists
from pocketrec.validate.runtimes.runtime import Browsed
from pocketrec.workers import Workers

_ROWS = 4096  # compared at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation with what the reference reached, and facts of the rows.

    Attributes:
        asked: what is measured, on which data.
        quality: what the reference reached.
        facts: of the rows.
        keeps: whether parity on its rows is compared; another evaluation of the same rows does it, else.
    """

    asked: Asked
    quality: QualityRun
    facts: Facts
    keeps: bool = True


def reference_evaluations(
    asked: Sequence[Asked],
    contract: Contract,
    runtimes: Runtimes,
    *,
    workers: Workers | None = None,
    reopen: Callable[[], Runtimes] | None = None,
    identity: Callable[[], str | None] = lambda: None,
    tell: Progress,
) -> tuple[Evaluation, ...]:
    """What the reference reaches in each evaluation; see `quality_of` for the arguments."""
    found = []
    for place, each in enumerate(asked):
        keeps = not any(_same_rows(each, other) for other in asked[:place])
        quality = quality_of(
            each.evaluate,
            contract,
            runtimes,
            each.data,
            workers=workers,
            reopen=reopen,
            keep=keeps,
            identity=identity,
            tell=partial(tell, _stage(each)),
        )
        facts = facts_of(each.evaluate, contract, each.data)
        found.append(Evaluation(asked=each, quality=quality, facts=facts, keeps=keeps))
    return tuple(found)


def _stage(asked: Asked) -> str:
    return f"quality of {asked.name}" if asked.name else "quality"


def _same_rows(one: Asked, other: Asked) -> bool:
    """Whether both evaluate the same functions on the same inputs, as two heads of a model do."""
    pairs = [(each.evaluate.function, each.evaluate.catalogue_function) for each in (one, other)]
    if pairs[0] != pairs[1] or len(one.data) != len(other.data):
        return False
    for left, right in zip(one.data.parts(_ROWS), other.data.parts(_ROWS), strict=True):
        if left.inputs.keys() != right.inputs.keys():
            return False
        if not all(np.array_equal(left.inputs[name], right.inputs[name]) for name in left.inputs):
            return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """An artifact beside the reference.

    Attributes:
        ranking: None where the artifact failed on the way, which no quality gate passes.
        rows: parity on every row of the data that it ran.
    """

    ranking: RankingParity | None = None
    rows: tuple[TensorParity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """How an artifact is examined.

    Attributes:
        contract: the model's.
        opened: the artifact's runtime per function.
        reference: the reference's.
        workers: who examines the data; this process alone by default.
        reopen: opens the artifact's runtimes in a worker.
        identity: gives the digest of what decides the artifact's numbers.
        tell: told what is being done.
    """

    contract: Contract
    opened: Runtimes
    reference: Runtimes
    workers: Workers | None
    reopen: Callable[[], Runtimes]
    identity: Callable[[], str]
    tell: Progress

    def compare(self, known: Evaluation, gates: Gates) -> Compared:
        """What the artifact reaches in an evaluation, beside the reference on the same rows."""
        try:
            before, after = self._runs(known)
        except UnsupportedOp:
            raise
        except (CheckFailed, InputError):
            return Compared()
        ranking = self._ranking(before, after, known)
        return Compared(ranking=ranking, rows=self._rows(before, after, known.asked.name, gates))

    def _runs(self, known: Evaluation) -> tuple[QualityRun, QualityRun]:
        """The reference's and the artifact's, of the same rows.

        A browser, which is many processes already, is asked by this one alone, on a sample where it is slow.
        """
        asked = known.asked
        tell = partial(self.tell, _stage(asked))
        run = partial(quality_of, asked.evaluate, self.contract, keep=known.keeps, tell=tell)
        if any(isinstance(each, Browsed) for each in self.opened.values()):
            return quality_within(
                lambda data: run(self.opened, data),
                lambda data: run(self.reference, data),
                known.quality,
                asked.data,
            )
        found = run(self.opened, asked.data, workers=self.workers, reopen=self.reopen, identity=self.identity)
        return known.quality, found

    def _ranking(self, before: QualityRun, after: QualityRun, known: Evaluation) -> RankingParity:
        """Both side by side; how many rows there are, where not all were examined."""
        facts = known.facts if before.rows is None else known.facts.take(before.rows)
        found = compared(before, after, replace(known, facts=facts), self.contract)
        total = known.quality.examples
        return found if before.examples == total else replace(found, available=total)

    def _rows(
        self, before: QualityRun, after: QualityRun, name: str, gates: Gates
    ) -> tuple[TensorParity, ...]:
        """Parity on every row of the evaluation data that it ran, of the functions that it ran."""
        found: list[TensorParity] = []
        for function, expected in before.kept.items():
            if function not in after.kept:
                continue  # its quality failed, which a gate says
            what = f"{name}, {expected.what}" if name else expected.what
            found += check_rows(
                replace(expected, what=what),
                after.kept[function],
                self.contract.functions[function],
                function=function,
                tie_tolerance=tie_tolerance(gates, self.opened[function].describe().precision),
            )
        return tuple(found)


def compared(before: QualityRun, after: QualityRun, known: Evaluation, contract: Contract) -> RankingParity:
    """Two runs of an evaluation side by side, with its name and the lists of a few users."""
    found = compare_quality(before, after, known.facts)
    users = user_lists(before, after, known.asked.evaluate, contract, known.asked.data)
    return replace(found, name=known.asked.name, users=users)
