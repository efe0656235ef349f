"""A page is put together as the determinant says, and repeats itself less than the list it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import slate
from pocketrec.model_zoo.families.parts.attention import MASKED
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.lists import LENGTH, relevant_lists
from pocketrec.model_zoo.training.loop import measured, score_all
from pocketrec.validate.measure.metrics.diversity import intra_list_diversity

Trained = Callable[[str], nn.Module]
Pages = npt.NDArray[Any]


def small(strength: float = 0.7, dtype: torch.dtype = torch.float32) -> slate.Slate:
    torch.manual_seed(0)
    net = slate.model(num_items=20, list_length=6, slots=4, dim=3)
    net.strength.fill_(strength)
    return net.to(dtype)


def ids(*rows: list[int]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int32)


def by_determinants(net: slate.Slate, items: list[int], relevance: list[float]) -> dict[int, float]:
    """Places to gains, in the order in which a search over log determinants takes them."""
    vectors = net.item_vectors.weight.detach().double().numpy()[items]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kernel = slate.ALPHA * vectors @ vectors.T + (1 - slate.ALPHA) * np.eye(len(items))
    quality = net.weight.item() * np.array(relevance) + net.place.detach().double().numpy()
    page: dict[int, float] = {}

    def gain(place: int) -> float:
        logs = [np.linalg.slogdet(kernel[np.ix_(each, each)])[1] for each in ([*page, place], [*page])]
        return float(quality[place] + net.strength.item() * (logs[0] - logs[1]))

    for _ in range(net.slots):
        left = {place: gain(place) for place in range(len(items)) if place not in page}
        page[max(left, key=lambda place: left[place])] = max(left.values())
    rest = {place: gain(place) for place in range(len(items)) if place not in page}
    return page | rest


def test_the_page_is_that_of_a_search_over_determinants() -> None:
    net, rng, orders = small(), np.random.default_rng(3), set()
    for _ in range(20):
        items = rng.choice(np.arange(1, 21), 6, replace=False).tolist()
        relevance = np.sort(0.3 * rng.normal(size=6))[::-1].tolist()
        expected = by_determinants(net, items, relevance)
        with torch.no_grad():
            found = net(ids(items), torch.tensor([relevance]))[0].numpy()
        np.testing.assert_allclose(found, [expected[place] for place in range(6)], atol=1e-4)
        page = list(expected)[: net.slots]
        assert np.argsort(-found)[: net.slots].tolist() == page
        orders.add(tuple(page))
    assert len(orders) > 5, "the search has something to find"


def test_an_items_like_is_put_off_and_without_strength_nothing_is() -> None:
    items, relevance = ids([4, 4, 9, 2, 7, 1]), torch.tensor([[1.0, 0.9, 0.8, 0.7, -3.0, -3.0]])
    with torch.no_grad():
        page = small(strength=2.0)(items, relevance)[0].argsort(descending=True)
        given = small(strength=0.0)(items, relevance)[0].argsort(descending=True)
    assert page[0] == 0
    assert 1 not in page[:3]
    assert given.tolist() == [0, 1, 2, 3, 4, 5]


def test_padding_has_no_say_and_comes_last() -> None:
    net = small()
    with torch.no_grad():
        scores = net(ids([3, 7, 0, 0, 0, 0]), torch.tensor([[0.5, 0.4, 9.0, 9.0, 9.0, 9.0]]))
        same = net(ids([3, 7, 0, 0, 0, 0]), torch.tensor([[0.5, 0.4, 0.0, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(scores, same)
    assert scores[0, 2:].max() <= MASKED
    assert scores[0, :2].min() > MASKED / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_empty_lists_and_lists_of_one_film_are_finite(dtype: torch.dtype) -> None:
    with torch.no_grad():
        scores = small(dtype=dtype)(ids([0] * 6, [5] * 6), torch.zeros(2, 6, dtype=dtype))
    assert scores.dtype == dtype
    assert scores.isfinite().all()


def test_the_weights_hold_their_floors_and_make_pages_of_more_kinds(
    trained: Trained, untrained: Trained
) -> None:
    """Films of a page are further apart by their genres, and by SASRec's vectors, which no part has seen."""
    data, family, net = relevant_lists(), FAMILIES["slate"], trained("slate")
    found = measured(lambda batch: net(**batch), data)
    assert found[0] >= family.floor("hr@10") == 0.565
    assert found[1] >= family.floor("ndcg@10") == 0.303
    given = torch.arange(LENGTH, 0, -1).float()
    before = measured(lambda batch: given.expand(len(batch["relevance"]), -1), data)
    assert before == pytest.approx([each.value for each in family.beside], abs=1e-4)
    list_genres, list_vectors = distances(data.inputs["candidates"][:, :10])
    page_genres, page_vectors = distances(pages_of(net))
    assert page_genres > list_genres + 0.004
    assert page_vectors > list_vectors + 0.025
    random = untrained("slate")
    assert measured(lambda batch: random(**batch), data)[1] < family.floor("ndcg@10")
    assert distances(pages_of(random))[1] < list_vectors + 0.015


def pages_of(net: nn.Module) -> Pages:
    """The ten films of every page of the test lists, in order."""
    data = relevant_lists()
    scores = score_all(lambda batch: net(**batch), data.inputs)
    order = np.argsort(-scores, axis=1)[:, :10]
    return np.take_along_axis(data.inputs["candidates"].astype(np.int64), order, axis=1)


def distances(pages: Pages) -> tuple[float, float]:
    """How far films of a page are apart: by genres (Jaccard, 1912), and by the angle of SASRec's vectors."""
    genres = movielens.item_features()["genres"]
    has = np.zeros((len(genres), genres.max() + 1))
    np.put_along_axis(has, genres, 1.0, axis=1)
    rows = has[:, 1:][pages.astype(np.int64)]
    both = rows @ rows.transpose(0, 2, 1)
    sizes = rows.sum(axis=2)
    either = sizes[:, :, None] + sizes[:, None, :] - both
    apart = ~np.eye(pages.shape[1], dtype=bool)
    vectors = load_file(FAMILIES["sasrec"].weights)["item_embedding.weight"].float().numpy()
    centred = vectors - vectors[1:].mean(axis=0)
    by_genres = (1 - both / either.clip(min=1))[:, apart].mean()
    return float(by_genres), float(intra_list_diversity(pages, centred).mean())
