"""Whether gates can fail: what they would say of artifacts that recommend nothing.

One number everywhere stands for an output; the held-out item is never listed; lists are drawn by chance, or
everybody gets the same one. Where every gate would pass such an artifact, its passing says nothing. So does
that of a single gate whose limit the recipe widened until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketrec.contract import Output, Signature
from pocketrec.recipe import Gates
from pocketrec.report import GateResult, RuntimeResult, TensorParity
from pocketrec.validate.evaluated import Evaluation
from pocketrec.validate.evidence import Reference
from pocketrec.validate.gates import REFERENCE, check_parity_gates
from pocketrec.validate.measure.parity import check_parity
from pocketrec.validate.measure.ranking import QualityRun
from pocketrec.validate.runtimes.runtime import Array

GATE = "can_fail"
_SOME_LISTS = 1000
_NOBODY = "an artifact that lists no held-out item"
_ONE_LIST = "the same list for everybody"
_ONE_NUMBER = "one number everywhere"
_CONSTANT = "the model gives one number everywhere for {}, so an artifact that computes nothing is as good"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A gate on a decoy.

    Attributes:
        gate: by its name.
        about: `function.output`; empty where it is on quality.
        passes: the decoy that it would pass; empty where it fails all.
    """

    gate: str
    about: str = ""
    passes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decoy:
    """One output of an artifact that computes nothing, against the reference's; no target changes it.

    Attributes:
        about: `function.output`.
        compared: for each number that may stand for all.
    """

    about: str
    compared: tuple[tuple[TensorParity, ...], ...]


def check_decoys(
    held: Mapping[str, Gates], reference: Reference, results: Sequence[RuntimeResult]
) -> tuple[GateResult, ...]:
    """Returns one result per evaluation, target and runtime that ran: whether gates on it could fail.

    Args:
        held: what each evaluation must hold, by its name.
        reference: what artifacts were compared with.
        results: of the artifacts.
    """
    decoys = tuple(_number_decoys(reference)) if reference.evaluations else ()
    return tuple(
        found
        for each in reference.evaluations
        for found in _can_fail(held[each.asked.name], each, reference, decoys, results)
    )


def _can_fail(
    gates: Gates,
    known: Evaluation,
    reference: Reference,
    decoys: Sequence[_Decoy],
    results: Sequence[RuntimeResult],
) -> Iterator[GateResult]:
    evaluate, name = known.asked.evaluate, known.asked.name
    evaluated = f"{evaluate.function}.{evaluate.output}"
    constant = _is_constant([each[evaluate.output] for each in reference.outputs[evaluate.function]])
    of_quality = tuple(quality_trials(gates, known.quality))
    for result in results:
        if result.status == "ran" and result.target != REFERENCE:
            trials = (*of_quality, *(_number_trial(gates, result, each) for each in decoys))
            said = _CONSTANT.format(evaluated) if constant else _lenient(gates, trials, evaluated)
            message = said or "artifacts with one number everywhere, or one list for everybody, would fail"
            yield GateResult(
                gate=f"{GATE} of {name}" if name else GATE,
                target=result.target,
                runtime=result.runtime,
                status="failed" if said else "passed",
                message=message,
            )


def _lenient(gates: Gates, trials: Sequence[Trial], evaluated: str) -> str:
    """Which gates pass a decoy that should not; empty where it is none that matters."""
    passing = [each for each in trials if each.passes]
    widened = [each for each in passing if _is_widened(gates, each.gate)]
    if widened:
        lines = (
            f"gates.{each.gate} cannot fail: {each.passes}"
            f"{f' for {each.about}' if each.about else ''} would pass"
            for each in widened
        )
        return "; ".join(dict.fromkeys(lines))
    mine = [each for each in trials if each.about in ("", evaluated)]
    if mine and all(each.passes for each in mine):
        return f"no gate can fail: {mine[-1].passes} for {evaluated} would pass all"
    return ""


def _is_widened(gates: Gates, gate: str) -> bool:
    return hasattr(gates, gate) and getattr(gates, gate) != getattr(Gates(), gate)


def _number_decoys(reference: Reference) -> Iterator[_Decoy]:
    """One number everywhere, and one list where ids are, output by output."""
    for function, given in reference.outputs.items():
        signature = reference.contract.functions[function]
        for out in signature.outputs:
            if out.meaning != "state":
                yield _number_decoy(function, signature, out, given)


def _number_decoy(
    function: str, signature: Signature, out: Output, given: Sequence[Mapping[str, Array]]
) -> _Decoy:
    names = [str(number) for number in range(len(given))]
    compared = []
    for value in _constants([each[out.name] for each in given]):
        decoys = [{**each, out.name: _filled(each[out.name], value)} for each in given]
        found = check_parity(given, decoys, names, signature, function=function, tie_tolerance=0.0)
        compared.append(tuple(each for each in found if each.output == out.name))
    return _Decoy(about=f"{function}.{out.name}", compared=tuple(compared))


def _number_trial(gates: Gates, result: RuntimeResult, decoy: _Decoy) -> Trial:
    """Gates on numbers and ids, as they are where the result ran."""
    for parity in decoy.compared:
        alone = replace(result, parity=parity, rows=(), controls=(), stress=())
        verdicts = check_parity_gates(gates, [alone])
        if all(each.status == "passed" for each in verdicts):
            return Trial(gate=verdicts[-1].gate, about=decoy.about, passes=_ONE_NUMBER)
    return Trial(gate="numbers", about=decoy.about)


def _constants(values: Sequence[Array]) -> list[float]:
    """Numbers that stand for all: nothing, the mean, and the middle between the smallest and the largest."""
    joined = np.concatenate([np.asarray(each, np.float64).ravel() for each in values])
    finite = joined[np.isfinite(joined)]
    if not finite.size:
        return [0.0]
    return [0.0, float(finite.mean()), float((finite.min() + finite.max()) / 2)]


def _is_constant(values: Sequence[Array]) -> bool:
    """Whether all numbers are the same."""
    joined = np.concatenate([np.asarray(each).ravel() for each in values])
    return bool(joined.size) and bool((joined == joined[0]).all())


def _filled(array: Array, value: float) -> Array:
    """An array of one number, but for what is infinite."""
    kept = np.asarray(array)
    return np.where(np.isfinite(kept), np.asarray(value).astype(kept.dtype), kept)


def quality_trials(gates: Gates, quality: QualityRun) -> Iterator[Trial]:
    """Gates on quality, each on the decoy that its metric is worst at telling."""
    floors = {"ndcg": (gates.max_ndcg_drop, 0.0), "auc": (gates.max_auc_drop, 0.5)}
    keys = {"ndcg": "max_ndcg_drop", "auc": "max_auc_drop"}
    for name, value in quality.metrics.items():
        metric = name.partition("@")[0]
        limit, floor = floors.get(metric, (None, 0.0))
        if limit is not None:
            decoy = _NOBODY if metric == "ndcg" else _ONE_NUMBER
            told = f"{decoy} ({name} {floor:g} against {value:.4f})"
            yield Trial(gate=keys[metric], passes=told if value - floor <= limit else "")
    if quality.labels is not None and gates.max_log_loss_rise is not None:
        rise = _base_rate_loss(quality.labels) - quality.metrics["log_loss"]
        told = f"the share of ones for every row (log loss {rise:+.4f})"
        yield Trial(gate="max_log_loss_rise", passes=told if rise <= gates.max_log_loss_rise else "")
    if quality.labels is not None and gates.max_ece_rise is not None:
        # The share of ones for every row is calibrated, so what tells least are zeros.
        rise = float(np.asarray(quality.labels, np.float64).mean()) - quality.metrics["ece"]
        told = f"0 for every row (ece {rise:+.4f})"
        yield Trial(gate="max_ece_rise", passes=told if rise <= gates.max_ece_rise else "")
    if quality.top_k is not None and gates.min_top_k_overlap is not None:
        shared = _one_list_overlap(quality.top_k)
        told = f"{_ONE_LIST} (overlap {shared:.4f})"
        yield Trial(gate="min_top_k_overlap", passes=told if shared >= gates.min_top_k_overlap else "")


def _base_rate_loss(labels: Array) -> float:
    """The log loss of the share of ones, given for every row: the entropy of the labels."""
    share = float(np.asarray(labels, np.float64).mean())
    if not 0 < share < 1:
        return 0.0
    return float(-share * np.log(share) - (1 - share) * np.log(1 - share))


def _one_list_overlap(lists: Array) -> float:
    """The mean share of users' lists that the list of the most listed items holds."""
    some = np.asarray(lists[:_SOME_LISTS], np.int64)
    ids, counts = np.unique(some[some >= 0], return_counts=True)
    best = ids[np.argsort(-counts, kind="stable")[: lists.shape[1]]]
    kept = (some >= 0).sum(axis=1)
    return float(np.mean(np.isin(some, best).sum(axis=1) / np.maximum(kept, 1)))
