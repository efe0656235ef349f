"""Which limits hold which evaluation: those of all, where it has the metric, and its own in their place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from pocketrec.errors import RecipeError
from pocketrec.recipe.compress import COST_RANGES, Compress, Cost
from pocketrec.recipe.evaluate import Evaluate
from pocketrec.recipe.gates import Gates
from pocketrec.recipe.measures import METRICS, ChangeLimits, Metric
from pocketrec.recipe.versus import LISTED, Versus

_METRICS: Mapping[str, Metric] = {
    "max_ndcg_drop": "ndcg",
    "max_auc_drop": "auc",
    "max_log_loss_rise": "log_loss",
    "max_ece_rise": "ece",
}
_LIMITS = tuple(each.name for each in fields(ChangeLimits))


def gates_by_name(gates: Gates, evaluations: Sequence[Evaluate]) -> Mapping[str, Gates]:
    """What each evaluation must hold, by the name that evidence has for it: empty where there is but one."""
    if len(evaluations) < 2:
        return {"": gates}
    return {each.called: gates_of(gates, each) for each in evaluations}


def gates_of(gates: Gates, evaluate: Evaluate) -> Gates:
    """What one of several evaluations must hold."""
    own = gates.evaluate.get(evaluate.called)
    limits: dict[str, Any] = {**({} if own is None else _stated(own)), **dict.fromkeys(_foreign(evaluate))}
    compression, versus = gates.compression, gates.versus
    if compression is not None:
        compression = compression.of(evaluate.called)
    return replace(
        gates,
        **limits,
        slices=_slices_of(gates.slices, evaluate),
        compression=compression,
        versus=None if versus is None else _versus_of(versus, evaluate),
    )


def _versus_of(versus: Versus, evaluate: Evaluate) -> Versus | None:
    """The same of a baseline: what holds this evaluation; None where nothing does."""
    own = versus.evaluate.get(evaluate.called)
    mine = {} if own is None else _stated(own)
    none = dict.fromkeys([*_foreign(evaluate), *(LISTED if evaluate.kind != "ranking" else ())])
    stated = {key: getattr(versus, key) for key in (*_LIMITS, *LISTED)} | mine | none
    slices = _slices_of(versus.slices, evaluate)
    if not slices and all(each is None for each in stated.values()):
        return None
    return replace(versus, **stated, slices=slices)


def _foreign(evaluate: Evaluate) -> list[str]:
    """The limits on metrics that an evaluation does not have."""
    return [key for key in _LIMITS if _METRICS[key] not in evaluate.names]


def _slices_of(limits: Mapping[str, ChangeLimits], evaluate: Evaluate) -> dict[str, ChangeLimits]:
    """The limits on slices that the evaluation has, of metrics that it has."""
    found = {}
    for name, each in limits.items():
        mine = {key: value for key, value in _stated(each).items() if _METRICS[key] in evaluate.names}
        if mine and _division(name) in evaluate.slices:
            found[name] = ChangeLimits(**mine)
    return found


def _stated(limits: ChangeLimits) -> dict[str, float]:
    return _given(limits, _LIMITS)


def _given(limits: ChangeLimits | Cost, keys: Iterable[str]) -> dict[str, float]:
    values = {key: getattr(limits, key) for key in keys}
    return {key: value for key, value in values.items() if value is not None}


def _division(name: str) -> str:
    return name.partition(": ")[0]


def check_held(gates: Gates, compress: Compress, evaluations: Sequence[Evaluate]) -> None:
    """Checks that every limit is on an evaluation, a metric and slices that there are; else a RecipeError."""
    _check_lists(evaluations, "compress.min_top_k_overlap", compress.min_top_k_overlap)
    for name, cost in compress.evaluate.items():
        where = f"compress.evaluate.{name}"
        _check_kinds([_named(evaluations, where, name)], where, _given(cost, COST_RANGES))
    _check_kinds(evaluations, "gates", ["max_ece_rise"] if gates.max_ece_rise is not None else [])
    check_limits(evaluations, "gates.compression", gates.compression)
    check_slices(evaluations, "gates.slices", gates.slices)
    for where, own in _own(gates):
        for name, limits in own.items():
            check_limits([_named(evaluations, f"{where}.{name}", name)], f"{where}.{name}", limits)
    if gates.versus is not None:
        _check_versus(evaluations, gates.versus)


def _own(gates: Gates) -> Iterator[tuple[str, Mapping[str, ChangeLimits]]]:
    """The tables of limits on one evaluation, by their keys."""
    yield "gates.evaluate", gates.evaluate
    if gates.compression is not None:
        yield "gates.compression.evaluate", gates.compression.evaluate
    if gates.versus is not None:
        yield "gates.versus.evaluate", gates.versus.evaluate


def _named(evaluations: Sequence[Evaluate], where: str, name: str) -> Evaluate:
    if len(evaluations) == 1:
        raise RecipeError(
            f"{where}: there is one evaluation; its limits stand in {where.split('.evaluate')[0]}"
        )
    found = next((each for each in evaluations if each.called == name), None)
    if found is None:
        known = ", ".join(each.called for each in evaluations)
        raise RecipeError(f"{where}: no such evaluation; known: {known}")
    return found


def _check_versus(evaluations: Sequence[Evaluate], versus: Versus) -> None:
    check_limits(evaluations, "gates.versus", versus.losses)
    check_slices(evaluations, "gates.versus.slices", versus.slices)
    for key in LISTED:
        _check_lists(evaluations, f"gates.versus.{key}", getattr(versus, key))


def _check_lists(evaluations: Sequence[Evaluate], where: str, limit: float | None) -> None:
    """Checks that there are lists where a limit is on them."""
    if limit is not None and not any(each.kind == "ranking" for each in evaluations):
        raise RecipeError(f"{where}: {_all_are(evaluations)}, which has no lists")


def check_limits(evaluations: Collection[Evaluate], where: str, limits: ChangeLimits | None) -> None:
    """Checks that every limit is on a metric that an evaluation has; RecipeError naming one that is not."""
    if limits is not None:
        _check_kinds(evaluations, where, _stated(limits))


def _check_kinds(evaluations: Collection[Evaluate], where: str, keys: Iterable[str]) -> None:
    for key in keys:
        metric = _METRICS[key]
        if any(metric in each.names for each in evaluations):
            continue
        said = f"{where}.{key}: {_all_are(evaluations)}"
        if any(metric in METRICS[each.kind] for each in evaluations):
            raise RecipeError(f"{said} without {metric}; add it to evaluate.metrics")
        raise RecipeError(f"{said}, which has no such metric")


def _all_are(evaluations: Collection[Evaluate]) -> str:
    kind = next(iter(evaluations)).kind
    return f"the evaluation is a {kind}" if len(evaluations) == 1 else f"every evaluation is a {kind}"


def check_slices(evaluations: Sequence[Evaluate], where: str, limits: Mapping[str, ChangeLimits]) -> None:
    """Checks that limits on slices are on divisions that there are, and on metrics that they have."""
    for name, each in limits.items():
        mine = [one for one in evaluations if _division(name) in one.slices]
        if not mine:
            known = ", ".join(dict.fromkeys(key for one in evaluations for key in one.slices))
            raise RecipeError(
                f"{where}.{name}: no such slices; known: {known or 'none; add evaluate.slices'}"
            )
        check_limits(mine, f"{where}.{name}", each)
