"""Whether an artifact's answers come from its own engine: what of PyTorch is called while it runs.

A bundle is verified where there is no PyTorch, so a runtime that calls it answers for another machine than
the one that it ships to; and one that calls the very model is compared with itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

GATE = "without_pytorch"


@contextmanager
def pytorch_calls() -> Iterator[list[str]]:
    """Yields the names of what PyTorch runs in this thread while it lasts; none where it is not loaded."""
    called: list[str] = []
    if "torch" not in sys.modules:
        yield called
        return
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            called.append(str(func))
            return func(*args, **(kwargs or {}))

    with Watch():  # type: ignore[no-untyped-call]
        yield called


def calls_told(called: Sequence[str]) -> str:
    """What an artifact is told that calls PyTorch; empty where it does not."""
    names = dict.fromkeys(called)
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"it has PyTorch compute its answers ({next(iter(names))}{more}); an artifact must run without"
