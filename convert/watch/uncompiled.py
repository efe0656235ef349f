"""What PyTorch would compile before it runs, run as it is, so that modes can watch it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.nn.attention import flex_attention as flex


@contextmanager
def uncompiled() -> Iterator[None]:
    """Makes PyTorch call the operator itself while it lasts, where a rule can see it."""
    before = flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG
    flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = True
    try:
        yield
    finally:
        flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = before
