"""`tensor.data`, which torch.export takes for a constant, as the tensor without a gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

_DATA: Any = Tensor.data


class DataRule:
    """Matches every read of the attribute; exact, since a detached tensor shares its numbers."""

    name = "data_to_detach"
    reason = "torch.export makes a constant of an input's .data"
    functions = frozenset({"__get__"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The tensor, detached; NotImplemented for other attributes."""
        return args[0].detach() if function == _DATA.__get__ else NotImplemented
