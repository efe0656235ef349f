"""What a call gives back, and as plain JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A word that no token or title is; `near` holds up to three that it may have been meant for."""

    given: str
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One item of an answer.

    Attributes:
        id: its place in the vocabulary.
        token: its stable key.
        title: what people read; the token where the vocabulary has no title for it.
        score: as the model gave it; None where it gives ids alone.
        probability: where the output is a logit or a probability.
        scores: of every output, where the model has several heads.
    """

    id: int
    token: str
    title: str
    score: float | None = None
    probability: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


class Recommendations(tuple[Recommendation, ...]):
    """Items, best first; `unknown` names the words of the call that the model does not know."""

    unknown: tuple[Unknown, ...]

    def __new__(cls, items: Iterable[Recommendation], unknown: Iterable[Unknown] = ()) -> Recommendations:
        """The items with what was unknown beside them."""
        made = super().__new__(cls, items)
        made.unknown = tuple(unknown)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A vector, float32 numbers in order."""

    values: tuple[float, ...]
    unknown: tuple[Unknown, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """One output: a number, or a list of them.

    Attributes:
        value: as the model gave it.
        unit: the contract's; empty where there is none.
        probability: where the output is one logit or probability.
    """

    value: float | tuple[Any, ...]
    unit: str = ""
    probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Every output by name."""

    outputs: Mapping[str, Predicted]
    unknown: tuple[Unknown, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An arm, and how probable it was that it would be chosen; None where the model does not say."""

    arm: Recommendation
    propensity: float | None = None
    unknown: tuple[Unknown, ...] = ()


Answer = Recommendations | Embedding | Prediction | Decision


def plain(answer: Answer) -> dict[str, Any]:
    """The answer as JSON values; keys that say nothing are left out."""
    if isinstance(answer, Recommendations):
        return _said({"items": [_item(each) for each in answer], "unknown": _unknown(answer.unknown)})
    if isinstance(answer, Embedding):
        return _said({"values": list(answer.values), "unknown": _unknown(answer.unknown)})
    if isinstance(answer, Prediction):
        outputs = {name: _said(asdict(each)) for name, each in answer.outputs.items()}
        return _said({"outputs": outputs, "unknown": _unknown(answer.unknown)})
    return {
        "arm": _item(answer.arm),
        "propensity": answer.propensity,
        **_said({"unknown": _unknown(answer.unknown)}),
    }


def _item(item: Recommendation) -> dict[str, Any]:
    return _said(asdict(item))


def _unknown(unknown: Iterable[Unknown]) -> list[dict[str, Any]]:
    return [{"given": each.given, "near": list(each.near)} for each in unknown]


def _said(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table without optional keys that hold nothing."""
    optional = ("probability", "scores", "unknown", "unit", "score")
    return {key: each for key, each in table.items() if key not in optional or each not in (None, {}, [], "")}
