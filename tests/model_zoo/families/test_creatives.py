"""Creatives: the score is a prior turned by taste, padding moves nothing, and the weights know taste."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from pocketrec.model_zoo.data import creatives as data
from pocketrec.model_zoo.data import office
from pocketrec.model_zoo.families import creatives
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import score_all

HISTORY = torch.tensor([[0, 0, 3, 1]], dtype=torch.int32)
PICTURE = torch.tensor([2], dtype=torch.int32)
BRAND = torch.tensor([1], dtype=torch.int32)


def tiny() -> creatives.Creatives:
    torch.manual_seed(0)
    net = creatives.model(num_items=4, num_pictures=3, num_brands=2, width=5, dim=6)
    nn.init.normal_(net.appeal.weight)
    return net


def auc(net: nn.Module) -> float:
    shown = data.impressions()
    return float(roc_auc_score(shown.labels, score_all(lambda batch: net(**batch), shown.inputs)))


def test_a_score_is_taste_times_picture_and_brand_and_the_prior_and_the_pictures_own() -> None:
    net, image = tiny(), torch.randn(1, 5)
    w = {name: each.numpy() for name, each in net.state_dict().items()}
    mean = w["item_embedding.weight"][[3, 1]].mean(0)
    taste, v = w["taste.weight"] @ mean + w["taste.bias"], image[0].numpy()
    expected = taste @ (w["picture.weight"] @ v + w["brand_embedding.weight"][1]) + w["prior.weight"][0] @ v
    expected += w["prior.bias"][0] + w["appeal.weight"][2, 0]
    np.testing.assert_allclose(net(HISTORY, PICTURE, BRAND, image).detach(), [expected], rtol=1e-5)


def test_padding_moves_nothing_and_an_empty_history_is_a_number() -> None:
    net, image = tiny(), torch.randn(1, 5)
    torch.testing.assert_close(
        net(HISTORY[:, 2:], PICTURE, BRAND, image), net(HISTORY, PICTURE, BRAND, image)
    )
    assert net(torch.zeros_like(HISTORY), PICTURE, BRAND, image).isfinite().all()


def test_pictures_and_clicks_are_the_same_every_time_and_every_picture_has_its_own_token(
    shop: Callable[[str], str],
) -> None:
    shop("amazon-office")
    first = data.impressions(split="valid")
    data.shown.cache_clear()
    assert data.impressions(split="valid").sha256() == first.sha256()
    assert first.sha256() != data.impressions().sha256()
    tokens, table = data.picture_vocabulary().tokens, data.pictures()
    assert len(tokens) == len(set(tokens)) == len(data.picture_titles().tokens)
    place = int(np.flatnonzero(table.theme)[0])
    theme, item = data.themes()[table.theme[place]], table.item[place]
    title = office.item_titles().tokens[item]
    assert tokens[place] == f"{office.item_vocabulary().tokens[item]}-{theme}"
    assert data.picture_titles().tokens[place] == f"{title}, with {theme}"
    assert theme in (office.brands()[item], *title.lower().split())


def test_the_odds_of_a_click_grow_with_what_somebody_had_of_the_theme_and_the_brand(
    shop: Callable[[str], str],
) -> None:
    """Of pictures without an own appeal: nothing in common, the theme, and all."""
    shop("amazon-office")
    table, had = data.pictures(), data.histories()
    visit = int(np.flatnonzero((had > 0).sum(axis=1) == 1)[0])  # somebody who had one product
    (item,) = had[visit][had[visit] > 0]
    own = np.flatnonzero((table.item == item) & (table.theme > 0))
    brand = data.brand_of()[own[0]]
    other = np.flatnonzero((table.theme == 0) & (data.brand_of() != brand) & (table.item > 0))[0]
    asked = np.array([other, own[0]], np.int32)
    odds = data.log_odds(np.full(2, visit), asked) - table.appeal[asked]
    named = 1.5 if brand else 0.0
    np.testing.assert_allclose(odds, [-1.8, -1.8 + 3.0 + named], rtol=1e-5)


def test_the_weights_hold_their_floor_above_what_is_clicked_by_all(
    shop: Callable[[str], str], trained: Callable[[str], nn.Module], untrained: Callable[[str], nn.Module]
) -> None:
    shop("amazon-office")
    found = auc(trained("creatives"))
    assert found >= FAMILIES["creatives"].floor("auc")
    past, test = data.impressions(split="train"), data.impressions()
    size = len(data.picture_vocabulary().tokens)
    often = np.bincount(past.inputs["picture"], minlength=size)
    clicks = np.bincount(past.inputs["picture"], weights=past.labels, minlength=size)
    rate = (clicks + 5 * past.labels.mean()) / (often + 5)
    assert found > roc_auc_score(test.labels, rate[test.inputs["picture"]]) + 0.03
    assert auc(untrained("creatives")) < 0.55
