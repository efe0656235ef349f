"""What a model lists counts for more than what it only reads; where no list can be made, that is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.evaluation import ClassificationData
from pocketrec.pipeline.calibration import calibrate
from pocketrec.pipeline.listings import by_listing, listed, listings, scored

ITEMS = 60
HIGH = np.arange(30, 50)  # the ids that every list has
DATA = ClassificationData(
    inputs={"ids": np.random.default_rng(0).integers(1, 20, (90, 4)).astype(np.int32)},
    labels=np.ones(90, np.float32),
)


def contract(*outputs: Output, items: int = ITEMS) -> Contract:
    ids = Feature(name="ids", kind="id_sequence", shape=("batch", 4), vocabulary="item")
    return Contract(
        functions={"main": Signature(inputs=(ids,), outputs=outputs)},
        dims={"batch": Dim(max=64)},
        vocabularies={"item": VocabularySpec(size=items, padding_id=0)},
    )


SCORES = Output(name="scores", meaning="score", shape=("batch", ITEMS), vocabulary="item")
IDS = Output(name="best", meaning="top_k_ids", dtype="int32", shape=("batch", 20), vocabulary="item")


class Net(nn.Module):
    """Scores that are highest for the padding, and then for the same ids whoever asks."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(ITEMS, 4)
        bias = torch.zeros(ITEMS)
        bias[torch.from_numpy(HIGH)] = 100.0
        bias[0] = 200.0
        self.register_buffer("bias", bias)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.item(ids).mean(dim=1) @ self.item.weight.T + self.bias
        return scores


class Lists(Net):
    """The same as ids."""

    def forward(self, ids: Tensor) -> Tensor:
        scores = super().forward(ids)
        scores[:, 0] = -1.0
        return scores.topk(20, dim=1).indices.int()


@pytest.mark.parametrize(("model", "output"), [(Net, SCORES), (Lists, IDS)])
def test_places_among_the_best_are_counted_and_padding_has_none(model: Any, output: Output) -> None:
    found, notes = listings(model().eval(), contract(output), [DATA])
    assert notes == ()
    counts = found["item"]
    assert np.flatnonzero(counts).tolist() == HIGH.tolist()
    assert len(set(counts[HIGH])) == 1


def test_a_table_whose_ids_are_listed_counts_by_lists_first_and_by_reads_where_they_are_equal() -> None:
    popularity = calibrate(Net().eval(), contract(SCORES), [DATA]).usage["item.weight"].popularity
    assert popularity is not None
    assert popularity[HIGH].min() > popularity[np.setdiff1d(np.arange(ITEMS), HIGH)].max()
    assert popularity[1:20].min() > popularity[20:30].max()  # read, and not read
    assert popularity.min() >= 1


def test_without_a_list_rows_count_by_their_reads() -> None:
    other = Output(name="scores", meaning="score", shape=("batch", ITEMS))
    found = calibrate(Net().eval(), contract(other), [DATA]).usage["item.weight"].popularity
    assert found is not None
    assert found[HIGH].tolist() == [1] * len(HIGH)
    assert listings(Net().eval(), contract(other), [DATA]) == ({}, ())


def test_a_model_that_does_not_run_on_the_inputs_is_said() -> None:
    class Broken(Net):
        def forward(self, ids: Tensor) -> Tensor:
            raise RuntimeError("no such id\nmore words")

    found, notes = listings(Broken().eval(), contract(SCORES), [DATA])
    assert not found
    assert notes == ("Rows count by their reads alone: no lists were made (no such id).",)


def test_outputs_that_list_are_told_from_others() -> None:
    known = contract(SCORES, IDS)
    page = Output(name="page", meaning="score", shape=("batch", 30), vocabulary="item")
    chance = Output(name="chance", meaning="probability", shape=("batch", ITEMS), vocabulary="item")
    assert [listed(each, known) for each in (SCORES, IDS, page, chance)] == ["item", "item", "", ""]
    assert [scored(each, known) for each in (SCORES, IDS)] == ["item", ""]


def test_weights_are_finite_where_nothing_was_listed_or_read() -> None:
    weights = by_listing(np.ones(5), np.zeros(5))
    assert np.isfinite(weights).all()
    assert len(set(weights)) == 1
