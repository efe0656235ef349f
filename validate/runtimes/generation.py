"""A decoder as the step of a search: what stands between an artifact and `package.host.beam`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract
from pocketrec.errors import InputError
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import Array, Runtime

# Prefixes (beams, tokens so far), the start token among them, to logits (beams, vocabulary).
Step = Callable[[npt.NDArray[np.int32]], Array]


def decoder_step(
    runtime: Runtime,
    contract: Contract,
    function: str,
    given: Mapping[str, Array],
    *,
    tokens: str,
    output: str,
) -> Step:
    """The step of `beam_search` that one function of an artifact computes, whatever batch it is fixed to.

    Args:
        runtime: the artifact, opened for the function.
        contract: the model's contract.
        function: of the contract; it gives the logits of every place of the prefix.
        given: its other inputs, of one row, such as the encoder's outputs.
        tokens: its input of prefixes, padded on the right.
        output: its output of shape (batch, places, vocabulary).

    Raises:
        InputError: the prefixes are padded on the left, or the function has no such input or output.
    """
    signature = contract.functions[function]
    if tokens not in [each.name for each in signature.inputs if each.padding_side != "left"]:
        raise InputError(f"function {function}: {tokens!r} is no input that is padded on the right")
    if output not in [each.name for each in signature.outputs]:
        raise InputError(f"function {function}: no output {output!r}; check the contract")

    def step(prefixes: npt.NDArray[np.int32]) -> Array:
        rows = {name: np.repeat(array, len(prefixes), axis=0) for name, array in given.items()}
        logits = run_fitted(runtime, contract, signature, {**rows, tokens: prefixes})[output]
        return logits[:, prefixes.shape[1] - 1]

    return step
