"""Two bundles over a recipe's evaluation users: their lists interleaved, and clicked by simulated users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract
from pocketrec.errors import UsageError
from pocketrec.evaluation import Asked, RankingData
from pocketrec.package.bundle import Bundle, read_bundle, read_contract
from pocketrec.pipeline.app import target_of
from pocketrec.pipeline.reached import reached_by
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.sources import load_evaluation
from pocketrec.progress import Progress, silent
from pocketrec.recipe import Evaluate
from pocketrec.validate.experiments.clicks import MODELS
from pocketrec.validate.experiments.duel import Duel, Taste, duel
from pocketrec.validate.experiments.estimates import MOST_CONFIDENT
from pocketrec.validate.experiments.interleave import LONGEST, METHODS

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How two bundles meet.

    Attributes:
        method: a key of `interleave.METHODS`.
        clicks: a key of `clicks.MODELS`.
        taste: what attracts the simulated users.
        k: the length of the lists.
        users: how many, from the first on.
        seed: of coins and clicks.
        target: of either bundle; None: the first that runs everywhere.
        evaluate: which of the recipe's evaluations; None: the first that ranks.
        confidence: of the interval.
    """

    method: str = "team-draft"
    clicks: str = "position"
    taste: Taste = field(default_factory=Taste)
    k: int = 10
    users: int = 10_000
    seed: int = 0
    target: str | None = None
    evaluate: str | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, value, known in (("method", self.method, METHODS), ("clicks", self.clicks, MODELS)):
            if value not in known:
                raise UsageError(f"{name} is {value!r}; expected one of {', '.join(known)}")
        most = LONGEST if self.method == "optimized" else 1000
        if not 1 <= self.k <= most:
            raise UsageError(f"k is {self.k}; expected 1 to {most} for the method {self.method}")
        if self.users < 1:
            raise UsageError(f"users is {self.users}; expected 1 or more")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; expected 0 or more")
        if not 0 < self.confidence <= MOST_CONFIDENT:
            raise UsageError(f"confidence is {self.confidence}; expected a share, such as 0.95")


def duel_bundles(
    first: Path, second: Path, recipe: Path, terms: Terms, *, progress: Progress | None = None
) -> Duel:
    """How the lists of two bundles meet over the evaluation users of the recipe.

    Args:
        first: a bundle; credit above 0 speaks for it.
        second: another, of the same inputs and items.
        recipe: whose evaluation data give the users and the items that they want.
        terms: how they meet.
        progress: is told of each step.

    Raises:
        UsageError: inputs or items of recipe and bundles differ, or the data rank nothing.
    """
    step = progress or silent
    bundles = read_bundle(first), read_bundle(second)
    contracts = read_contract(bundles[0]), read_contract(bundles[1])
    step("evaluation data", 0, 1)
    read = load_recipe(recipe)
    stated, asked = load_evaluation(read, recipe.parent)
    chosen = _chosen(asked, terms.evaluate, recipe)
    evaluate, data = replace(chosen.evaluate, k=terms.k), chosen.data
    named = {"the recipe": stated, str(first): contracts[0], str(second): contracts[1]}
    check_comparable(named, evaluate)
    part = next(iter(data.parts(min(terms.users, len(data)))))
    if not isinstance(part, RankingData):
        raise UsageError(f"{recipe}: evaluate.kind is {evaluate.kind!r}; lists come of 'ranking' alone")
    lists = []
    for number, (bundle, contract) in enumerate(zip(bundles, contracts, strict=True)):
        step("lists", number, 2)
        lists.append(lists_of(bundle, contract, evaluate, part, terms.target))
    step("duel", 0, 1)
    return duel(
        lists[0],
        lists[1],
        part.positives,
        interleave=METHODS[terms.method],
        clicks=MODELS[terms.clicks],
        rng=np.random.default_rng(terms.seed),
        taste=terms.taste,
        confidence=terms.confidence,
    )


def _chosen(asked: Sequence[Asked], name: str | None, recipe: Path) -> Asked:
    """The evaluation of that name, or the first that ranks; a UsageError says which there are."""
    if name is None:
        return next((each for each in asked if each.evaluate.kind == "ranking"), asked[0])
    found = next((each for each in asked if each.evaluate.called == name), None)
    if found is None:
        known = ", ".join(each.evaluate.called for each in asked)
        raise UsageError(f"{recipe}: {name!r} is none of its evaluations; expected one of {known}")
    return found


def check_comparable(given: Mapping[str, Contract], evaluate: Evaluate) -> None:
    """Checks that all take the same inputs and that an id is the same item in each; else a UsageError.

    Args:
        given: contracts by what they are of, for the message; the others are compared with the first.
        evaluate: names the function.
    """
    function = evaluate.function
    for what, contract in given.items():
        if function not in contract.functions:
            known = ", ".join(contract.functions)
            raise UsageError(
                f"{what} has no function {function!r}, which the recipe evaluates; it has {known}"
            )
    (first, one), *others = given.items()
    for what, contract in others:
        if contract.functions[function].inputs != one.functions[function].inputs:
            raise UsageError(f"function {function}: {first} and {what} take other inputs; not comparable")
        for name, spec in one.vocabularies.items():
            other = contract.vocabularies.get(name)
            if other is None or (other.size, other.sha256) != (spec.size, spec.sha256):
                raise UsageError(
                    f"vocabulary {name}: {first} and {what} have other tokens, so an id is another item; not "
                    "comparable"
                )


def lists_of(
    bundle: Bundle, contract: Contract, evaluate: Evaluate, data: RankingData, target: str | None
) -> Ids:
    """The k best items of every user by the bundle's own artifacts, `[users, k]`, -1 behind the last."""
    found = reached_by(bundle, contract, evaluate, data, target_of(bundle, target))[0].top_k
    assert found is not None
    return found.astype(np.int64)
