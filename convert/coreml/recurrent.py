"""Lowerings of whole recurrent layers, which coremltools has for its other front end only.

An exported program names the overload, such as `gru.input`, and takes several results from one tuple.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from coremltools.converters.mil.frontend.torch import ops as torch_ops


def _as_tuple(lowering: Callable[[Any, Any], None], results: int) -> Callable[[Any, Any], None]:
    """The lowering, with its results added as the one tuple that an exported program reads."""

    def lower(context: Any, node: Any) -> None:
        if len(node.outputs) == results:
            lowering(context, node)
            return
        whole = copy.copy(node)  # a second layer is named as a number after the first: lstm, lstm_1
        whole.outputs = [f"{node.name}_result_{number}" for number in range(results)]
        lowering(context, whole)
        context.add(tuple(context[each] for each in whole.outputs), torch_name=node.name)

    return lower


RECURRENT_LOWERINGS: dict[str, Callable[[Any, Any], None]] = {
    "gru.input": _as_tuple(torch_ops.gru, 2),
    "lstm.input": _as_tuple(torch_ops.lstm, 3),
}
