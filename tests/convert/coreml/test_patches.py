"""Free sizes with two names are taken for equal, known ones that differ are not; what is spared, is safe."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in the field
from coremltools.converters.mil.mil import Program, get_new_symbol, types
from coremltools.converters.mil.mil.ops.defs.iOS15.scatter_gather import scatter_along_axis
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.coreml.patches import right_inference, without_ado


class Unseen(nn.Module):
    """The best items of the catalogue after the last one of a history, without those of the history."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.items = nn.Embedding(40, 8)

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        steps = self.items(history)
        last = steps[torch.arange(len(history)), (history != 0).sum(1).clamp(min=1) - 1]
        scores = (last @ self.items.weight.T).scatter(1, history, float("-inf"))
        values, places = torch.topk(scores, 5)
        return values, places


def test_seen_items_are_left_out_for_any_batch_on_both_targets(tmp_path: Path) -> None:
    module = Unseen().eval()
    history = torch.tensor([[3, 4, 0, 0], [5, 6, 7, 8], [9, 0, 0, 0]])
    found = pocketrec.convert_module(module, history, tmp_path)
    assert found.notes == ()
    for path in found.artifacts.values():
        for rows in (history[:1], history[[2, 1, 0, 1, 2]]):
            given = pocketrec.open(path).run({found.inputs[0]: rows.numpy().astype(np.int32)})
            with torch.no_grad():
                assert np.array_equal(given[found.outputs[1]], module(rows)[1])


def scattered(data: tuple[Any, ...], indices: tuple[Any, ...]) -> Any:
    tensors = [SimpleNamespace(shape=shape, rank=2, sym_type="data") for shape in (data, indices)]
    op = SimpleNamespace(data=tensors[0], indices=tensors[1], axis=SimpleNamespace(val=-1))
    inferred: Any = scatter_along_axis.type_inference
    return inferred(op)


def test_only_known_sizes_have_to_be_the_same() -> None:
    with right_inference():
        assert scattered((get_new_symbol(), 9), (get_new_symbol(), 2)) == "data"
        assert scattered((3, 9), (get_new_symbol(), 2)) == "data"
        assert scattered((3, 9), (3, 2)) == "data"
        with pytest.raises(ValueError, match="size 4 of the indices at axis 0, expected 3"):
            scattered((3, 9), (4, 2))


@pytest.mark.parametrize("first", [4, None])
def test_a_choice_has_the_shape_that_its_condition_widens_it_to(first: int | None) -> None:
    """Core ML's loader compares declared shapes; the batch may be a number or free."""
    rows = get_new_symbol() if first is None else first
    spec = [mb.TensorSpec(shape=(rows, 1, 3)), mb.TensorSpec(shape=(5, 1), dtype=types.bool)]

    def body(x: Any, seen: Any) -> Any:
        narrow = mb.select(cond=np.bool_(True), a=x, b=np.float32(2))
        assert narrow.shape == (rows, 1, 3)
        return mb.select(cond=seen, a=x, b=np.float32(-np.inf))

    with right_inference():
        program: Any = mb.program(input_specs=spec)(body)
    (chosen,) = program.functions["main"].outputs
    assert chosen.shape == (rows, 5, 3)
    assert chosen.dtype == types.fp32


def test_coremltools_is_as_before_afterwards() -> None:
    before = scatter_along_axis.type_inference
    with right_inference():
        assert scatter_along_axis.type_inference is not before
    assert scatter_along_axis.type_inference is before


class Ring:
    """What only the collector can free."""

    def __init__(self) -> None:
        self.ring = self


def test_a_search_for_garbage_finds_what_is_new_and_leaves_what_is_older() -> None:
    gc.collect()
    older = weakref.ref(Ring())
    with without_ado():
        newer = weakref.ref(Ring())
        gc.collect()
        assert newer() is None
        assert older() is not None
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert older() is None


def test_what_a_user_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        with pytest.raises(KeyError), without_ado():
            raise KeyError
        assert gc.get_freeze_count() >= before - 10  # of what is frozen, some may be freed
    finally:
        gc.unfreeze()


def test_a_program_is_checked_between_pipelines_and_not_after_each_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(
        Program, "validate", lambda self, check_essential_scope=False: seen.append(check_essential_scope)
    )
    program = Program()
    with without_ado():
        program.validate()
        program.validate(check_essential_scope=True)
        program.validate(check_essential_scope=False)
    assert seen == [False, True]
