"""Creatives: the score is a prior turned by taste, padding moves nothing, and the weights know taste."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from pocketrec.model_zoo.data import creatives as data
from pocketrec.model_zoo.families import creatives
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import score_all

HISTORY = torch.tensor([[0, 0, 3, 1]], dtype=torch.int32)
POSTER = torch.tensor([2], dtype=torch.int32)


def tiny() -> creatives.Creatives:
    torch.manual_seed(0)
    net = creatives.model(num_items=4, num_posters=3, width=5, dim=6)
    nn.init.normal_(net.appeal.weight)
    return net


def auc(net: nn.Module) -> float:
    shown = data.impressions()
    return float(roc_auc_score(shown.labels, score_all(lambda batch: net(**batch), shown.inputs)))


def test_a_score_is_taste_times_picture_and_the_prior_and_the_pictures_own() -> None:
    net, image = tiny(), torch.randn(1, 5)
    w = {name: each.numpy() for name, each in net.state_dict().items()}
    mean = w["item_embedding.weight"][[3, 1]].mean(0)
    taste, v = w["taste.weight"] @ mean + w["taste.bias"], image[0].numpy()
    expected = taste @ (w["picture.weight"] @ v) + w["prior.weight"][0] @ v
    expected += w["prior.bias"][0] + w["appeal.weight"][2, 0]
    np.testing.assert_allclose(net(HISTORY, POSTER, image).detach(), [expected], rtol=1e-5)


def test_padding_moves_nothing_and_an_empty_history_is_a_number() -> None:
    net, image = tiny(), torch.randn(1, 5)
    torch.testing.assert_close(net(HISTORY[:, 2:], POSTER, image), net(HISTORY, POSTER, image))
    assert net(torch.zeros_like(HISTORY), POSTER, image).isfinite().all()


def test_pictures_and_clicks_are_the_same_every_time_and_every_poster_has_its_own_token() -> None:
    shown, again = data.impressions(split="valid"), data.impressions(split="valid")
    assert shown.sha256() == again.sha256()
    assert shown.sha256() != data.impressions().sha256()
    tokens = data.poster_vocabulary().tokens
    assert len(tokens) == len(set(tokens)) == len(data.poster_titles().tokens)
    assert data.poster_titles().tokens[tokens.index("1-Comedy")] == "Toy Story (1995), as Comedy"


def test_the_weights_hold_their_floor_above_what_is_clicked_by_all(
    trained: Callable[[str], nn.Module], untrained: Callable[[str], nn.Module]
) -> None:
    found = auc(trained("creatives"))
    assert found >= FAMILIES["creatives"].floor("auc")
    past, test = data.impressions(split="train"), data.impressions()
    size = len(data.poster_vocabulary().tokens)
    often = np.bincount(past.inputs["poster"], minlength=size)
    clicks = np.bincount(past.inputs["poster"], weights=past.labels, minlength=size)
    rate = (clicks + 5 * past.labels.mean()) / (often + 5)
    assert found > roc_auc_score(test.labels, rate[test.inputs["poster"]]) + 0.03
    assert auc(untrained("creatives")) < 0.55
