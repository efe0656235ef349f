"""The re-ranker sees the whole list, no padding, and puts lists of transition counts in a better order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.model_zoo.families import prm
from pocketrec.model_zoo.families.parts.attention import MASKED, Block
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.lists import LENGTH, markov_lists
from pocketrec.model_zoo.training.loop import measured

Trained = Callable[[str], nn.Module]


def small(dtype: torch.dtype = torch.float32) -> prm.PRM:
    torch.manual_seed(0)
    return prm.model(num_items=20, list_length=5, max_length=6, dim=8).to(dtype)


def ids(*rows: list[int]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int32)


def test_scores_are_those_of_the_papers_layers() -> None:
    """By matrices alone: embeddings, one head after another, and the layer on top."""
    net, candidates, history = small(), ids([3, 7, 1, 9, 4]), ids([2, 5, 6])
    with torch.no_grad():
        found = net(candidates, history)[0].numpy()
        table = net.item_embedding.weight
        shares = torch.softmax(net.recency[-3:], dim=0)
        person = net.personal(shares @ table[history[0].long()])
        items = table[candidates[0].long()]
        x = items + items * person + net.place_embedding
        block = net.blocks[0]
        assert isinstance(block, Block)
        seen = block.attention_norm(x)
        query, key, value = (getattr(block.attention, name)(seen) for name in ("query", "key", "value"))
        heads = [slice(0, 4), slice(4, 8)]
        mixed = [torch.softmax(query[:, h] @ key[:, h].T / 2.0, dim=-1) @ value[:, h] for h in heads]
        x = x + block.attention.out(torch.cat(mixed, dim=-1))
        x = x + block.feed_forward(block.feed_forward_norm(x))
        expected = net.score(net.norm(x))[:, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_another_item_in_the_list_changes_the_scores_of_all() -> None:
    net, history = small(), ids([2, 5, 6])
    with torch.no_grad():
        one, two = net(ids([3, 7, 1, 9, 4]), history), net(ids([3, 7, 1, 9, 8]), history)
    assert ((one - two).abs()[0, :4] > 1e-6).all()


@pytest.mark.parametrize("history", [[2, 5, 6], [0, 0]])
def test_padding_of_a_list_has_no_say_and_comes_last(history: list[int]) -> None:
    net = small()
    with torch.no_grad():
        scores = net(ids([3, 7, 0, 0, 0]), ids(history))
        net.item_embedding.weight[0] = 5.0
        net.place_embedding[2:] = 3.0
        if any(history):
            torch.testing.assert_close(net(ids([3, 7, 0, 0, 0]), ids(history)), scores)
    assert scores[0, 2:].tolist() == [MASKED] * 3
    assert scores[0, :2].min() > MASKED


@pytest.mark.parametrize("length", [1, 3, 6])
def test_a_short_history_means_the_same_as_the_padded_one(length: int) -> None:
    net, candidates = small(), ids([3, 7, 1, 9, 4])
    history = ids(list(range(2, 2 + length)))
    padded = torch.nn.functional.pad(history, (6 - length, 0))
    with torch.no_grad():
        torch.testing.assert_close(net(candidates, history), net(candidates, padded))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_empty_lists_and_histories_are_finite(dtype: torch.dtype) -> None:
    with torch.no_grad():
        assert small(dtype)(ids([0] * 5), ids([0] * 6)).isfinite().all()


def test_the_weights_hold_their_floors_and_beat_the_order_that_they_are_given(
    trained: Trained, untrained: Trained
) -> None:
    data, family = markov_lists(), FAMILIES["prm"]
    found = measured(lambda batch: trained("prm")(**batch), data)
    given = torch.arange(LENGTH, 0, -1).float()
    before = measured(lambda batch: given.expand(len(batch["history"]), -1), data)
    assert found[0] >= family.floor("hr@10") == 0.56
    assert found[1] >= family.floor("ndcg@10") == 0.298
    assert before == pytest.approx([each.value for each in family.beside], abs=1e-4)
    assert before[0] < found[0]
    assert before[1] < found[1]
    assert measured(lambda batch: untrained("prm")(**batch), data)[1] < 0.25
