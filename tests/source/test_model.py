"""Models and the trials of a source: what is tried, in which order, and what a copy that never ran is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.source.checkpoint import Span
from pocketrec.source.loaded import with_fixed_batch
from pocketrec.source.model import Trial, Trials, model_of, never_run, table_spans
from pocketrec.source.streamed import Stubbed, spilled

CONTRACT = Contract(
    functions={
        "main": Signature(
            inputs=(Feature(name="x", kind="dense", dtype="float32", shape=("batch", "length")),),
            outputs=(Output(name="y", meaning="score", shape=("batch",)),),
        )
    },
    dims={"batch": Dim(min=2, max=8), "length": Dim(max=5)},
)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(300, 8)
        self.calls = 0

    def forward(self, ids: Tensor) -> Tensor:
        self.calls += 1
        scaled: Tensor = self.item(ids) * self.calls
        return scaled


def test_a_model_that_is_held_is_evaluated_as_it_is() -> None:
    module = Counting().eval()
    model = model_of(Stubbed(lowered=module), CONTRACT, {})
    assert model.module is module is model.lowered


def test_tables_in_memory_go_to_files_and_are_mapped_from_there(tmp_path: Path) -> None:
    module = Counting().eval()
    core, spans = spilled(module, tmp_path, 300 * 8 * 4)
    (table,) = core.tables
    assert table.name == "item.weight"
    assert core.lowered.get_parameter("item.weight").untyped_storage().nbytes() == 4
    assert module.get_parameter("item.weight").untyped_storage().nbytes() == 300 * 8 * 4
    model = model_of(core, CONTRACT, {**table_spans(core, tmp_path), **spans})
    ids = torch.tensor([0, 7, 299])
    assert torch.equal(model.module(ids), module.item(ids))


def test_what_is_small_stays_in_memory(tmp_path: Path) -> None:
    module = Counting().eval()
    core, spans = spilled(module, tmp_path, 1 << 30)
    assert core.lowered is module
    assert not core.tables
    assert not spans
    assert not list(tmp_path.iterdir())


def test_a_copy_that_never_ran_does_not_know_of_calls() -> None:
    module = Counting().eval()
    fresh = never_run(model_of(Stubbed(lowered=module), CONTRACT, {}))
    module(torch.tensor([1]))
    ids = torch.tensor([1])
    assert torch.equal(fresh()(ids), module.item(ids))
    assert torch.equal(fresh()(ids), fresh()(ids))
    assert not torch.equal(module(ids), module.item(ids))


def test_trials_of_other_values_are_made_the_same_way() -> None:
    made: list[tuple[nn.Module, Mapping[str, Span]]] = []

    def make(core: Stubbed, spans: Mapping[str, Span]) -> Iterator[Trial]:
        made.append((core.lowered, spans))
        yield Trial(model=model_of(core, CONTRACT, spans), captured=CONTRACT)

    one, other = Stubbed(lowered=nn.Linear(1, 1)), Stubbed(lowered=nn.Linear(2, 2))
    trials = Trials(core=one, spans={}, make=make, seed=3)
    assert next(iter(trials)).model.lowered is one.lowered
    assert next(iter(trials.of(other, {}))).model.lowered is other.lowered
    assert trials.of(other, {}).seed == 3
    assert [each for each, _ in made] == [one.lowered, other.lowered]


def test_a_fixed_batch_is_the_smallest_and_lengths_stay_free() -> None:
    fixed = with_fixed_batch(CONTRACT)
    assert fixed.dims == {"batch": Dim(min=2, max=2), "length": Dim(max=5)}
    assert with_fixed_batch(fixed) == fixed
    assert np.prod([each.max for each in fixed.dims.values()]) == 10
