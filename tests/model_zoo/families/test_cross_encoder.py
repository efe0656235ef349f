"""The cross-encoder: a title's score is its own, padding moves nothing, and BM25's pages get better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import office
from pocketrec.model_zoo.data.folders import cache_folder
from pocketrec.model_zoo.data.texts import encoded
from pocketrec.model_zoo.families import cross_encoder
from pocketrec.model_zoo.families.parts.attention import MASKED
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.bm25 import reciprocal_rank
from pocketrec.model_zoo.training.loop import score_all
from pocketrec.model_zoo.training.pages import LENGTH, best, office_pages

DIM, HEADS, QUERY, TITLE = 8, 2, 5, 4


def ids(*rows: list[int]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int32)


TEXT = ids([2, 7, 9, 3, 0])
TITLES = ids([0, 0, 0, 0], [2, 7, 3, 0], [2, 5, 6, 3], [2, 9, 7, 3])


def tiny(layers: int = 2) -> cross_encoder.CrossEncoder:
    torch.manual_seed(0)
    net = cross_encoder.model(
        num_items=3,
        num_words=11,
        query_words=QUERY,
        title_words=TITLE,
        table=6,
        dim=DIM,
        heads=HEADS,
        layers=layers,
    )
    net.titles.copy_(TITLES)
    return net


def by_hand(net: cross_encoder.CrossEncoder, text: Tensor, title: Tensor) -> Tensor:
    """The score of one title, by matrices alone and without padding."""
    text, title = text[text != 0], title[title != 0]
    x = net.widen(net.word_embedding(text)) + net.query_place[: len(text)]
    y = net.widen(net.word_embedding(title)) + net.title_place[: len(title)]
    y = y + torch.isin(title, text)[:, None] * net.mark
    for layer in net.layers:
        assert isinstance(layer, cross_encoder.Layer)
        x = layer_by_hand(layer, x, x[:0])
        y = layer_by_hand(layer, y, x)
    score: Tensor = (net.norm(y) @ net.score.weight[0] + net.score.bias).sum() / TITLE**0.5
    return score


def layer_by_hand(layer: cross_encoder.Layer, x: Tensor, before: Tensor) -> Tensor:
    seen = layer.attention_norm(x)
    memory = layer.attention_norm(torch.cat([before, x]))
    parts, heads = layer.attention, []
    query, key, value = parts.query(seen), parts.key(memory), parts.value(memory)
    for h in torch.arange(DIM).chunk(HEADS):
        shares = torch.softmax(query[:, h] @ key[:, h].T / len(h) ** 0.5, dim=-1)
        heads.append(shares @ value[:, h])
    x = x + parts.out(torch.cat(heads, dim=-1))
    out: Tensor = x + layer.feed_forward(layer.feed_forward_norm(x))
    return out


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2])
def test_a_score_is_of_the_query_and_one_title_read_together(layers: int) -> None:
    net = tiny(layers)
    found = net(ids([3, 1, 2]), TEXT)[0]
    expected = torch.stack([by_hand(net, TEXT[0], TITLES[item]) for item in (3, 1, 2)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(net(ids([2, 3]), TEXT)[0], found[[2, 0]], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_word_that_is_asked_for_counts_by_its_mark() -> None:
    net = tiny()
    before = net(ids([1, 2]), TEXT)[0]
    net.mark.add_(1.0)
    after = net(ids([1, 2]), ids([2, 7, 9, 8, 0]))[0]
    net.mark.sub_(1.0)
    unmarked = net(ids([1, 2]), ids([10, 8, 9, 8, 0]))[0]
    assert (before - after).abs()[0] > 1e-3
    net.mark.zero_()
    torch.testing.assert_close(net(ids([1, 2]), ids([10, 8, 9, 8, 0]))[0], unmarked)


@torch.no_grad()
def test_padding_moves_nothing_and_stands_last() -> None:
    net = tiny()
    scores = net(ids([3, 1, 0]), TEXT)
    assert scores[0, 2] == MASKED
    assert scores[0, :2].min() > MASKED
    net.word_embedding.weight[0] = 5.0
    net.query_place[4] = 3.0
    net.title_place[3] = 3.0  # of the titles here, 1 has no such word
    torch.testing.assert_close(net(ids([1, 0, 0]), TEXT)[0, 0], scores[0, 1])


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_empty_page_and_an_empty_text_are_finite(dtype: torch.dtype) -> None:
    assert tiny().to(dtype)(ids([0, 0, 0], [1, 2, 3]), ids([0] * QUERY, [0] * QUERY)).isfinite().all()


def test_what_is_learned_from_is_the_right_item_and_others_of_its_page() -> None:
    torch.manual_seed(0)
    candidates = torch.arange(1, 61, dtype=torch.int32).reshape(2, 30)
    found = cross_encoder.drawn(candidates, torch.tensor([4, 29]))
    assert found[:, 0].tolist() == [5, 60]
    assert found.shape == (2, 1 + cross_encoder.OTHERS)
    assert all(len(set(row.tolist())) == len(row) for row in found)
    assert found[0].max() <= 30 < found[1].min()


def test_words_are_forgotten_but_not_where_a_text_begins_and_ends() -> None:
    torch.manual_seed(0)
    text = torch.full((200, 50), 7, dtype=torch.int32)
    text[:, 0], text[:, -1] = 101, 102
    found = cross_encoder.forgetful(text)
    assert (found[:, [0, -1]] == text[:, [0, -1]]).all()
    assert float((found[:, 1:-1] == 0).float().mean()) == pytest.approx(cross_encoder.FORGOTTEN, abs=0.02)


def test_a_page_lists_the_best_first_and_of_equal_ones_the_lower_id() -> None:
    assert best(np.array([[1.0, 3.0, 3.0, 2.0]], np.float32), 3).tolist() == [[2, 3, 4]]


@pytest.fixture(scope="module")
def pages(shop: Callable[[str], str]) -> RankingData:
    shop("amazon-office")
    if not cache_folder("all-minilm-l6-v2").is_dir():
        pytest.skip("not run: `pocketrec zoo data all-minilm-l6-v2` fetches the vocabulary")
    return office_pages()


def test_a_page_holds_the_right_product_where_it_says(pages: RankingData) -> None:
    titles, listed = office.item_titles().tokens, pages.inputs["candidates"]
    assert listed.shape == (len(pages), LENGTH)
    assert 440 < len(pages) < 480
    assert all(len(set(row)) == LENGTH for row in listed.tolist())
    text, right = pages.inputs["text"][0], titles[int(listed[0, pages.positives[0]])]
    assert set(encoded([right], 32)[0]) & set(text[1:])


def test_the_weights_hold_their_floor_above_the_order_of_bm25(
    pages: RankingData, trained: Callable[[str], nn.Module], untrained: Callable[[str], nn.Module]
) -> None:
    def mrr(net: nn.Module) -> float:
        scores = score_all(lambda batch: net(**batch), pages.inputs, 32)
        return reciprocal_rank(scores, pages.positives)

    family, found = FAMILIES["cross-encoder"], mrr(trained("cross-encoder"))
    given = np.tile(np.arange(LENGTH, 0, -1, dtype=np.float32), (len(pages), 1))
    before = reciprocal_rank(given, pages.positives)
    assert found >= family.floor("mrr@10")
    assert before == pytest.approx(family.beside[0].value, abs=1e-4)
    assert found > before + 0.03
    assert mrr(untrained("cross-encoder")) < before - 0.2
