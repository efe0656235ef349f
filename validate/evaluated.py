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
from pocketrec.validate.measure.quality import Evaluation as Measurement
from pocketrec.validate.measure.quality import Runtimes, quality_of
from pocketrec.validate.measure.ranking import QualityRun
from pocketrec.validate.measure.rows import check_rows
from pocketrec.validate.measure.sample import quality_within
from pocketrec.validate.measure.slices import Facts, facts_of
from pocketrec.validate.measure.tolerances import tie_tolerance
from pocketrec.validate.measure.user_lists import user_lists
from pocketrec.validate.runtimes.runtime import Browsed
from pocketrec.workers import Workers

Pair = tuple[QualityRun, QualityRun]

_ROWS = 4096  # compared at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation with what the reference reached, and facts of the rows.

    Attributes:
        asked: what is measured, on which data.
        quality: what the reference reached.
        facts: of the rows.
        like: the place of the first evaluation of the same rows, on which parity is compared once.
    """

    asked: Asked
    quality: QualityRun
    facts: Facts
    like: int


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

    def run(each: Asked, keep: bool) -> QualityRun:
        return quality_of(
            each.evaluate,
            contract,
            runtimes,
            each.data,
            workers=workers,
            reopen=reopen,
            keep=keep,
            identity=identity,
            tell=partial(tell, _stage(each)),
        )

    alike = first_alike(asked)
    found: list[QualityRun] = []
    for place, each in enumerate(asked):
        known = quality_like(each, contract, found[alike[place]]) if alike[place] < place else None
        found.append(known or run(each, alike[place] == place))
    return tuple(
        Evaluation(asked=each, quality=quality, facts=facts_of(each.evaluate, contract, each.data), like=like)
        for each, quality, like in zip(asked, found, alike, strict=True)
    )


def first_alike(asked: Sequence[Asked]) -> tuple[int, ...]:
    """For each evaluation the place of the first of the same functions on the same inputs."""
    found: list[int] = []
    for place, each in enumerate(asked):
        firsts = (first for first in dict.fromkeys(found) if _same_rows(each, asked[first]))
        found.append(next(firsts, place))
    return tuple(found)


def quality_like(asked: Asked, contract: Contract, like: QualityRun) -> QualityRun | None:
    """What a model reached, by what another evaluation of the same rows kept of its outputs.

    None where it kept less than a number for each row: then the model has to run again.
    """
    evaluate = asked.evaluate
    kept = like.kept.get(evaluate.function)
    if evaluate.kind != "classification" or kept is None or evaluate.output not in kept.whole:
        return None
    job = Measurement(evaluate=evaluate, contract=contract, data=asked.data, open=None)
    return job.known_run(kept.values[evaluate.output])


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

    def compare(self, evaluations: Sequence[Evaluation], gates: Gates) -> tuple[Compared, ...]:
        """What the artifact reaches in each evaluation, beside the reference on the same rows."""
        runs: list[Pair | None] = []
        found = []
        for known in evaluations:
            like = runs[known.like] if known.like < len(runs) else None
            runs.append(self._pair(known, like, first=known.like == len(runs)))
            found.append(self._compared(known, runs[-1], gates))
        return tuple(found)

    def _compared(self, known: Evaluation, runs: Pair | None, gates: Gates) -> Compared:
        if runs is None:
            return Compared()
        ranking = self._ranking(*runs, known)
        return Compared(ranking=ranking, rows=self._rows(*runs, known.asked.name, gates))

    def _pair(self, known: Evaluation, like: Pair | None, *, first: bool) -> Pair | None:
        """The reference's run and the artifact's on the same rows; None where the artifact failed."""
        try:
            if like is not None and like[1].rows is None:
                after = quality_like(known.asked, self.contract, like[1])
                if after is not None:
                    return known.quality, after
            return self._runs(known, keep=first)
        except UnsupportedOp:
            raise
        except (CheckFailed, InputError):
            return None

    def _runs(self, known: Evaluation, *, keep: bool) -> Pair:
        """Both of them run.

        A browser, which is many processes already, is asked by this one alone, on a sample where it is slow.
        """
        asked = known.asked
        tell = partial(self.tell, _stage(asked))
        run = partial(quality_of, asked.evaluate, self.contract, keep=keep, tell=tell)
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
