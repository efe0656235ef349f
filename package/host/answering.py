"""What each role answers, given a call: it yields its function's inputs, and goes on with their outputs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import SCORES, Output
from pocketrec.errors import CallError
from pocketrec.package.host.answers import (
    Decision,
    Embedding,
    Predicted,
    Prediction,
    Recommendation,
)
from pocketrec.package.host.asked import Asked, Steps
from pocketrec.package.host.best import best, best_of, check_scores, drawn, share, sigmoid, softmax
from pocketrec.package.host.features import Array
from pocketrec.package.host.generating import generate
from pocketrec.package.host.items import shown
from pocketrec.package.host.roles import axis_of, has_rows, lists_items, one_number


def _recommend(one: Asked) -> Steps:
    """The k best of all items that may be listed."""
    k, left_out = one.k(), one.left_out()
    inputs = one.inputs()  # a mistake is told even where nothing is asked for
    if not k and not one.signature.states:
        return one.listed(())
    outputs = yield inputs
    out = next(each for each in one.signature.outputs if lists_items(one.contract, each))
    if out.meaning == "top_k_ids":
        return one.listed(_from_lists(one, out, outputs, k, left_out))
    scores = one.row(out, outputs)
    chances = _chances(out, scores, one.items.spec.aside)
    return one.listed([one.item(i, s, **chances(i)) for i, s in best_of(scores, k, left_out)])


def _from_lists(
    one: Asked, out: Output, outputs: Mapping[str, Array], k: int, left_out: set[int]
) -> list[Recommendation]:
    """The k best of the ids that the model lists, where it scores them; else the first that it lists."""
    ids = [int(each) for each in one.row(out, outputs)]
    scored = next((each for each in one.signature.outputs if each.meaning == "top_k_scores"), None)
    known = [place for place, each in enumerate(ids) if one.items.is_item(each) and each not in left_out]
    if scored is None:
        return [one.item(ids[place], None) for place in known][:k]
    scores = [float(each) for each in one.row(scored, outputs)]
    return [one.item(i, s) for i, s in best([(ids[place], scores[place]) for place in known], k, left_out)]


def _chances(
    out: Output, scores: npt.NDArray[Any], aside: frozenset[int]
) -> Callable[[int], dict[str, float]]:
    """What is to be said of an item's probability; nothing where the output is a score."""
    if out.meaning == "score":
        return lambda place: {}
    numbers = [float(each) for each in scores]
    chances = softmax(numbers, aside) if out.meaning == "logit" else numbers
    return lambda place: {"probability": chances[place]}


def _rank(one: Asked) -> Steps:
    """The candidates, best first by the first output; of equal ones the earlier comes first."""
    records = [_record(one, place, each) for place, each in enumerate(_candidates(one.given))]
    if not records:
        return one.listed(())
    heads = [each for each in one.signature.outputs if one_number(one.signature, each)]
    rows = one.features(*records)
    scores = yield from _in_chunks(one, rows, heads)
    for head in heads:
        check_scores(list(enumerate(scores[head.name])), "candidate")
    order = sorted(range(len(rows)), key=lambda place: (-scores[heads[0].name][place], place))
    return one.listed(
        [_ranked(one, rows[place], heads, [scores[each.name][place] for each in heads]) for place in order]
    )


def _ranked(
    one: Asked, row: Mapping[str, Any], heads: Sequence[Output], scores: Sequence[float]
) -> Recommendation:
    word, first = row[one.call.candidate], heads[0]
    more: dict[str, Any] = {}
    if first.meaning != "score":
        more["probability"] = _chance(first, scores[0])
    if len(heads) > 1:
        more["scores"] = {head.name: score for head, score in zip(heads, scores, strict=True)}
    return one.candidate(word, scores[0], **more)


def _candidates(given: Mapping[str, Any]) -> Sequence[Any]:
    if "candidates" not in given:
        raise CallError("missing_feature", "candidates is missing; pass a list of items")
    found = given["candidates"]
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise CallError("wrong_type", f"candidates is {shown(found)}; expected a list of items")
    return found


def _record(one: Asked, place: int, candidate: Any) -> dict[str, Any]:
    """A candidate's own features: an item alone, or a record that holds more."""
    if isinstance(candidate, str):
        return {one.call.candidate: candidate}
    if not isinstance(candidate, Mapping):
        raise CallError(
            "wrong_type", f"candidates[{place}] is {shown(candidate)}; expected an item or a record"
        )
    known = [one.call.candidate, *one.call.arguments]
    for name in candidate:
        if name not in known:
            raise CallError(
                "unknown_feature",
                f"candidates[{place}].{name} is no feature of {one.call.method}; expected {', '.join(known)}",
            )
    if one.call.candidate not in candidate:
        raise CallError(
            "missing_feature",
            f"candidates[{place}].{one.call.candidate} is missing; pass a token or a title",
        )
    return {one.call.arguments.get(name, name): each for name, each in candidate.items()}


def _in_chunks(
    one: Asked, rows: Sequence[Mapping[str, Any]], heads: Sequence[Output]
) -> Generator[Mapping[str, Array], Mapping[str, Array], dict[str, list[float]]]:
    """The numbers of every head, for as many rows at once as the contract allows."""
    most = one.contract.bounds(one.signature.inputs[0].shape[0])[1] if has_rows(one.signature) else 1
    found: dict[str, list[float]] = {each.name: [] for each in heads}
    for start in range(0, len(rows), most):
        chunk = rows[start : start + most]
        outputs = yield one.encoder.arrays(chunk)
        for each in heads:
            numbers = np.asarray(outputs[each.name]).reshape(-1)[: len(chunk)]
            found[each.name].extend(float(number) for number in numbers)
    return found


def _embed(one: Asked) -> Steps:
    """The vector of the first output that is an embedding."""
    out = next(each for each in one.signature.outputs if each.meaning == "embedding")
    values = one.row(out, (yield one.inputs()))
    return Embedding(values=tuple(float(each) for each in values.reshape(-1)), unknown=one.unknown)


def _predict(one: Asked) -> Steps:
    """Every output with its unit."""
    outputs = yield one.inputs()
    told = [each for each in one.signature.outputs if each.meaning != "state"]
    return Prediction(
        outputs={each.name: _predicted(one, each, one.row(each, outputs)) for each in told},
        unknown=one.unknown,
    )


def _predicted(one: Asked, out: Output, value: npt.NDArray[Any]) -> Predicted:
    if not one_number(one.signature, out):
        return Predicted(value=_tuples(value.tolist()), unit=out.unit)
    number = float(value.reshape(-1)[0])
    return Predicted(value=number, unit=out.unit, probability=_chance(out, number))


def _chance(out: Output, number: float) -> float | None:
    """The probability that one number of an output stands for; None where it is a score."""
    if out.meaning == "logit":
        return sigmoid(number)
    return number if out.meaning == "probability" else None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _arrange(one: Asked) -> Steps:
    """The page: the candidates in the model's order, k of them."""
    k = one.k()
    candidates = _candidates(one.given)
    feature = one.signature.input(one.call.candidate)
    axis = axis_of(one.signature, feature)
    most = one.contract.bounds(axis)[1] if axis is not None else 0
    if len(candidates) > most:
        raise CallError("too_many", f"candidates has {len(candidates)} items; expected at most {most}")
    inputs = one.inputs()
    if not candidates:
        return one.listed(())
    outputs = yield inputs
    out = next(
        each
        for each in one.signature.outputs
        if each.meaning in SCORES and each.shape and each.shape[-1] == axis
    )
    scores = one.row(out, outputs)
    offset = len(scores) - len(candidates) if feature.padding_side == "left" else 0
    places = best([(i, float(scores[offset + i])) for i in range(len(candidates))], k, ())
    return one.listed([one.candidate(candidates[place], score) for place, score in places])


def _decide(one: Asked) -> Steps:
    """An arm: drawn by its probability where the call hands in a draw, else the best."""
    draw = one.given.get("draw")
    if draw is not None and not _is_share(draw):
        raise CallError("bad_draw", f"draw is {shown(draw)}; expected a number from 0 to below 1")
    outputs = yield one.inputs()
    over: dict[str, Output] = {}
    for each in one.signature.outputs:
        if lists_items(one.contract, each):
            over.setdefault(each.meaning, each)
    aside = one.items.spec.aside
    chances = None
    if "probability" in over:
        chances = [float(each) for each in one.row(over["probability"], outputs)]
        check_scores(list(enumerate(chances)), "id")  # a draw would pass over what is no number
    scored = over.get("score") or over.get("logit")
    scores = [float(each) for each in one.row(scored, outputs)] if scored is not None else chances
    assert scores is not None  # the role needs one of them
    arm = drawn(chances, float(draw), aside) if chances is not None and draw is not None else None
    if arm is None:
        first = best(list(enumerate(scores)), 1, aside)
        if not first:
            raise CallError("bad_score", "no arm has a score; build the model again")
        arm = first[0][0]
    return Decision(
        arm=one.item(arm, scores[arm]),
        propensity=None if chances is None or draw is None else share(chances, arm, aside),
        unknown=one.unknown,
    )


def _is_share(draw: object) -> bool:
    return isinstance(draw, int | float) and not isinstance(draw, bool) and 0 <= draw < 1


def _generate(one: Asked) -> Steps:
    """The items of a search, which runs the model itself, with all of its beams at once."""
    yield from ()
    return generate(one)


ROLES: dict[str, Callable[[Asked], Steps]] = {
    "recommend": _recommend,
    "search": _recommend,
    "rank": _rank,
    "embed": _embed,
    "predict": _predict,
    "arrange": _arrange,
    "decide": _decide,
    "generate": _generate,
}
