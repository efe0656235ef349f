"""Deep copies of modules, of those too whose hooks keep what they computed last."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

M = TypeVar("M", bound=nn.Module)


def copied(module: M, memo: Mapping[int, Any] | None = None) -> M:
    """A deep copy; `memo` holds by id what the copy has in place of an object.

    A tensor with a gradient's history, such as the weight that a hook computed in the last call, cannot
    be copied by itself: the copy has its numbers.
    """
    values = [each for part in module.modules() for each in tree_leaves(dict(vars(part)))]
    computed = {id(each): each.detach() for each in values if isinstance(each, Tensor) and not each.is_leaf}
    return copy.deepcopy(module, {**computed, **(memo or {})})
