"""Gates judged again: what the evidence's own numbers say of the gates that it lists.

Whoever writes "passed" over "failed" leaves the numbers behind that say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from pocketrec.errors import PocketrecError
from pocketrec.package.parts import EVIDENCE
from pocketrec.recipe import Evaluate, Gates, gates_by_name
from pocketrec.report import GateResult, RuntimeResult
from pocketrec.report.reading import read_results
from pocketrec.schema import from_table


def contradictions(recipe: Mapping[str, Any], evidence: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each gate that limits and numbers fail, and that is not listed as failed.

    Args:
        recipe: the bundle's, as a table.
        evidence: likewise.
    """
    listed = evidence.get("gates")
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        return  # which is said already
    failed = {_place(each) for each in listed if each.get("status") == "failed"}
    try:
        gates = gates_of(recipe)
        held = gates_by_name(gates, evaluations_of(recipe))
        results = read_results(evidence, source=EVIDENCE)
    except PocketrecError as error:
        yield str(error)
        return
    targets = recipe.get("targets", ())
    built = tuple(each for each in results if each.target in targets)
    for each in judged(gates, built, stressed=_stressed(recipe), held=held):
        if each.status == "failed" and (each.gate, each.target, each.runtime) not in failed:
            yield f"{EVIDENCE}: its own numbers fail gate {each.gate} of {each.where}: {each.message}"
    yield from _unseen(listed, results)


def gates_of(recipe: Mapping[str, Any]) -> Gates:
    """The recipe's limits, of those that this release knows; RecipeError where one is none."""
    return from_table(Gates, _known(Gates, recipe.get("gates", {})), source="recipe.json", key="gates")


def evaluations_of(recipe: Mapping[str, Any]) -> tuple[Evaluate, ...]:
    """The recipe's evaluations, where it has several and each must be held; none, else."""
    stated = recipe.get("evaluate")
    tables = stated if isinstance(stated, list) else []
    return tuple(
        from_table(Evaluate, _known(Evaluate, each), source="recipe.json", key=f"evaluate[{place}]")
        for place, each in enumerate(tables)
    )


def _known(cls: Any, stated: object) -> object:
    """A table's keys that this release knows; what is no table as it is."""
    if not isinstance(stated, Mapping):
        return stated
    names = {each.name for each in fields(cls)}
    return {key: each for key, each in stated.items() if key in names}


def _stressed(recipe: Mapping[str, Any]) -> bool:
    """Whether the recipe asks for stress; one of an earlier release says nothing of it."""
    stated = recipe.get("stress")
    return isinstance(stated, Mapping) and bool(stated.get("rows"))


def _unseen(listed: list[Mapping[str, Any]], results: tuple[RuntimeResult, ...]) -> Iterator[str]:
    """Comparisons that are listed as passed, and of which no result says that they ran."""
    ran = {(each.target, each.runtime) for each in results if each.status == "ran"}
    for each in listed:
        if each.get("gate") == "comparison" and each.get("status") == "passed":
            target, runtime = each.get("target"), each.get("runtime")
            if (target, runtime) not in ran:
                where = f"{target} on {runtime}"
                yield f"{EVIDENCE}: gate comparison of {where} passed, and no result says that it ran"


def judged(
    gates: Gates,
    results: tuple[RuntimeResult, ...],
    *,
    stressed: bool = False,
    held: Mapping[str, Gates] | None = None,
) -> tuple[GateResult, ...]:
    """The gates that follow from limits and numbers alone; on quality where changes have their intervals.

    Args:
        gates: the limits.
        results: of what was built.
        stressed: whether stress was asked for.
        held: what each of several evaluations must hold, by its name; then none may be lacking.
    """
    from pocketrec.validate.gates import check_gates, check_parity_gates

    several = held is not None and len(held) > 1
    whole = [each for each in results if (several and each.status == "ran") or _has_changes(each)]
    bare = [each for each in results if each not in whole and each.parity]
    return (
        *(check_gates(gates, whole, stressed=stressed, held=held) if whole else ()),
        *(check_parity_gates(gates, bare) if bare else ()),
    )


def _has_changes(result: RuntimeResult) -> bool:
    return bool(result.rankings) and all(each.changes for each in result.rankings)


def _place(table: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return table.get("gate"), table.get("target"), table.get("runtime")
