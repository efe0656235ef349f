"""Many calls at once: their inputs, where they have one shape, stacked into one run of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pocketrec.errors import CallError
from pocketrec.package.host.answers import Answer
from pocketrec.package.host.asked import Steps
from pocketrec.package.host.features import Array

Inputs = Mapping[str, Array]
Outputs = Mapping[str, Array]


def run_together(
    calls: Sequence[Steps], run: Callable[[Inputs], Outputs], *, together: bool
) -> list[Answer | CallError]:
    """Each call's answer, or the error that it ended with, in their order.

    Inputs are stacked where all of their axes but the first are alike: nothing is padded further than the
    call alone would be, since what a model makes of padding may depend on its length.

    Args:
        calls: on their way.
        run: the model.
        together: whether the first axis of every input and output counts rows.
    """
    answers: dict[int, Answer | CallError] = {}
    waiting: dict[int, Inputs] = {}
    for number, each in enumerate(calls):
        _go_on(number, each, None, answers, waiting)
    while waiting:
        asked, waiting = waiting, {}
        groups: dict[object, list[int]] = {}
        for number, inputs in asked.items():
            groups.setdefault(_shapes(inputs) if together else number, []).append(number)
        for numbers in groups.values():
            for number, outputs in zip(numbers, _run([asked[each] for each in numbers], run), strict=True):
                _go_on(number, calls[number], outputs, answers, waiting)
    return [answers[number] for number in range(len(calls))]


def _go_on(
    number: int,
    call: Steps,
    outputs: Outputs | None,
    answers: dict[int, Answer | CallError],
    waiting: dict[int, Inputs],
) -> None:
    """Hands a call what it waited for; what it asks for next, or its end, is put down."""
    try:
        waiting[number] = next(call) if outputs is None else call.send(outputs)
    except StopIteration as end:
        answers[number] = end.value
    except CallError as error:
        answers[number] = error


def _shapes(inputs: Inputs) -> tuple[Any, ...]:
    return tuple((name, each.shape[1:]) for name, each in inputs.items())


def _run(asked: Sequence[Inputs], run: Callable[[Inputs], Outputs]) -> list[Outputs]:
    """The outputs for each of the inputs, which run as one."""
    if len(asked) == 1:
        return [run(asked[0])]
    ends = np.cumsum([len(next(iter(each.values()))) for each in asked])[:-1]
    outputs = run({name: np.concatenate([each[name] for each in asked]) for name in asked[0]})
    parts = {name: np.split(np.asarray(each), ends) for name, each in outputs.items()}
    return [{name: each[place] for name, each in parts.items()} for place in range(len(asked))]
