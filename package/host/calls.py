"""A model called in an app's words. What runs the model is not known here: it is a function of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from pocketrec.contract import Contract, Feature
from pocketrec.errors import CallError
from pocketrec.package.host.answering import ROLES
from pocketrec.package.host.answers import Answer
from pocketrec.package.host.asked import Asked, Steps
from pocketrec.package.host.features import Array, Encoder, Tokenize
from pocketrec.package.host.items import Items
from pocketrec.package.host.roles import Call, calls_of, rows_stack
from pocketrec.package.host.together import run_together

Run = Callable[[str, Mapping[str, Array]], Mapping[str, Array]]
States = dict[str, Array]


@dataclass(slots=True, kw_only=True)
class Host:
    """What a model's functions are called with, and what they answer.

    Attributes:
        contract: of the model.
        vocabularies: the items of every vocabulary.
        run: the model: a function's name and its inputs to its outputs.
        tokenize: text to ids.
        calls: the functions by the name of their method.
    """

    contract: Contract
    vocabularies: Mapping[str, Items]
    run: Run
    tokenize: Tokenize
    calls: dict[str, Call] = field(init=False)

    def __post_init__(self) -> None:
        self.calls = calls_of(self.contract)

    def call(self, method: str, arguments: Mapping[str, Any], states: States | None = None) -> Answer:
        """The answer of a method.

        Args:
            method: one of `calls`.
            arguments: by their names in an app; None counts as left out.
            states: what earlier calls left, by the state's name; zeros where there is nothing yet. What this
                call leaves is put there once it has its answer.

        Raises:
            CallError: `code` says which rule was broken.
        """
        kept: States = dict(states or {})
        run = partial(self._run, kept)
        answer = _ended(self._steps(method, arguments, run), partial(run, self.calls[method].function))
        if states is not None:
            states.update(kept)
        return answer

    def call_many(self, method: str, calls: Sequence[Mapping[str, Any]]) -> list[Answer | CallError]:
        """What `call` gives or raises for each, with the inputs of many calls in one run of the model.

        Nothing is said of what unknown words may have been meant for, and states are zeros. Where the first
        axis does not count calls, as beside states, each runs by itself.

        Args:
            method: one of `calls`.
            calls: the arguments of each.
        """
        run = partial(self._run, {})
        return run_together(
            [self._steps(method, each, run, suggests=False) for each in calls],
            partial(run, self.calls[method].function),
            together=rows_stack(self.contract.functions[self.calls[method].function]),
        )

    def _steps(self, method: str, arguments: Mapping[str, Any], run: Run, *, suggests: bool = True) -> Steps:
        """A call, input by input; a mistake in it is raised at the first."""
        call = self.calls[method]
        given = {name: _plain(each) for name, each in arguments.items() if each is not None}
        _check_names(call, given)
        encoder = Encoder(
            contract=self.contract,
            signature=self.contract.functions[call.function],
            vocabularies=self.vocabularies,
            tokenize=self.tokenize,
            names={feature: name for name, feature in call.arguments.items()},
            suggests=suggests,
        )
        return (yield from ROLES[call.role](Asked(run, call, given, encoder)))

    def _run(self, kept: States, function: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """The outputs for inputs and states; the next states are kept."""
        signature = self.contract.functions[function]
        held = {each.name: kept.get(each.name, self._zeros(each)) for each, _ in signature.states}
        outputs = self.run(function, {**inputs, **held})
        kept.update({each.name: outputs[out.name] for each, out in signature.states})
        return outputs

    def _zeros(self, state: Feature) -> Array:
        sizes = [self.contract.bounds(size)[0] for size in state.shape]
        return np.zeros(sizes, np.dtype(state.dtype))


def _ended(steps: Steps, run: Callable[[Mapping[str, Array]], Mapping[str, Array]]) -> Answer:
    """The answer of one call, each of whose inputs is run as it comes."""
    try:
        inputs = next(steps)
        while True:
            inputs = steps.send(run(inputs))
    except StopIteration as end:
        answer: Answer = end.value
        return answer


def _plain(value: Any) -> Any:
    """A number of NumPy's as one of Python's."""
    scalar = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim)
    return value.item() if scalar else value


def _check_names(call: Call, given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in call.names:
            known = ", ".join(call.names)
            raise CallError("unknown_feature", f"{name} is no argument of {call.method}; expected {known}")
