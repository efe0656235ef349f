"""Calibration: gradients say how errors in a tensor move the outputs; what has none is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.evaluation import ClassificationData, RankingData
from pocketrec.pipeline import calibration
from pocketrec.pipeline.calibration import calibrate

ITEMS, WIDTH, USERS = 30, 8, 50


def contract(batch: int | str = "batch") -> Contract:
    ids = Feature(name="ids", kind="id_sequence", shape=(batch, 4), vocabulary="item")
    return Contract(
        functions={
            "main": Signature(
                inputs=(ids,), outputs=(Output(name="scores", meaning="score", shape=(batch, ITEMS)),)
            )
        },
        dims={"batch": Dim(max=64)} if batch == "batch" else {},
        vocabularies={"item": VocabularySpec(size=ITEMS, padding_id=0)},
    )


class Net(nn.Module):
    """A tied table, a layer of its own, a buffer that is multiplied, and a tensor that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(ITEMS, WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.unread = nn.Linear(WIDTH, 3)
        self.register_buffer("turn", torch.randn(WIDTH, WIDTH))

    def forward(self, ids: Tensor) -> Tensor:
        user = self.mix(self.item(ids).mean(dim=1)) @ self.turn
        scores: Tensor = user @ self.item.weight.T
        return scores


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval().requires_grad_(False)


@pytest.fixture
def data() -> RankingData:
    # Ids 20 and more are never read.
    ids = np.random.default_rng(0).integers(1, 20, (USERS, 4)).astype(np.int32)
    return RankingData(
        inputs={"ids": ids},
        positives=np.ones(USERS, np.int64),
        seen_ids=np.zeros(0, np.int64),
        seen_offsets=np.zeros(USERS + 1, np.int64),
        catalogue={},
    )


def test_the_moment_predicts_how_far_an_error_moves_the_outputs(net: Net, data: RankingData) -> None:
    found = calibrate(net, contract(), [data])
    assert found.notes == ()
    assert {name for name, each in found.usage.items() if each.moment is not None} == {
        "item.weight",
        "mix.weight",
        "turn",
    }
    ids = torch.from_numpy(data.inputs["ids"].copy())
    before = net(ids)
    rng = np.random.default_rng(1)
    for name in ("mix.weight", "turn"):
        tensor = dict(net.state_dict())[name]
        moment = found.usage[name].moment
        assert moment is not None
        error = 1e-3 * rng.standard_normal(tensor.shape)
        expected = float(((error.T @ error) * moment).sum())
        with torch.no_grad():
            tensor += torch.from_numpy(error).float()
            moved = float((net(ids) - before).square().mean() / before.square().mean())
            tensor -= torch.from_numpy(error).float()
        assert moved == pytest.approx(expected, rel=0.5)


def test_calibration_changes_nothing_and_gives_the_same_on_any_number_of_threads(
    net: Net, data: RankingData
) -> None:
    before = {name: each.clone() for name, each in net.state_dict().items()}
    threads = torch.get_num_threads()
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        moment = calibrate(net, contract(), [data]).usage["mix.weight"].moment
        assert moment is not None
        found.append(moment.tobytes())
        assert torch.get_num_threads() == count
    torch.set_num_threads(threads)
    assert found[0] == found[1]
    assert all(torch.equal(before[name], each) for name, each in net.state_dict().items())
    assert not any(each.requires_grad for each in net.parameters())


@pytest.mark.parametrize("batch", [1, 7, 64, "batch"])
def test_a_fixed_batch_is_kept(batch: int | str, net: Net, data: RankingData, monkeypatch: Any) -> None:
    seen = set()

    def forward(self: Net, ids: Tensor, original: Any = Net.forward) -> Tensor:
        seen.add(len(ids))
        scores: Tensor = original(self, ids)
        return scores

    monkeypatch.setattr(Net, "forward", forward)
    assert calibrate(net, contract(batch), [data]).notes == ()
    assert seen == {16 if batch == "batch" else batch}


def test_a_model_without_gradients_is_said_and_still_has_its_popularity(net: Net, data: RankingData) -> None:
    class Broken(Net):
        def forward(self, ids: Tensor) -> Tensor:
            self.item.weight.add_(1)  # PyTorch refuses this of a leaf that needs a gradient
            return super().forward(ids)

    found = calibrate(Broken().eval().requires_grad_(False), contract(), [data])
    assert [each.split("(")[0] for each in found.notes] == [
        "Rounded without error feedback: the model has no gradients "
    ]
    assert found.usage["item.weight"].popularity is not None
    assert found.usage["item.weight"].moment is None


def test_outputs_that_do_not_depend_on_a_tensor_smoothly_give_it_no_moment(data: RankingData) -> None:
    class Signs(Net):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids).argsort(dim=1).float()

    found = calibrate(Signs().eval(), contract(), [data])
    assert all(each.moment is None for each in found.usage.values())


def test_tensors_beyond_the_limit_are_left_out(net: Net, data: RankingData, monkeypatch: Any) -> None:
    monkeypatch.setattr(calibration, "MAX_NUMBERS", ITEMS * WIDTH - 1)
    found = calibrate(net, contract(), [data]).usage
    assert found["item.weight"].moment is None
    assert found["mix.weight"].moment is not None


def test_gradients_are_computed_only_where_they_are_wanted(net: Net, data: RankingData) -> None:
    found = calibrate(net, contract(), [data], gradients=False).usage
    assert set(found) == {"item.weight"}
    assert found["item.weight"].moment is None


def test_data_with_labels_and_infinite_outputs_are_calibrated(net: Net) -> None:
    class Masked(Net):
        def forward(self, ids: Tensor) -> Tensor:
            hidden = torch.zeros(ITEMS)
            hidden[0] = -torch.inf
            return super().forward(ids) + hidden

    ids = np.random.default_rng(0).integers(1, 20, (5, 4)).astype(np.int32)
    labels = np.ones(5, np.float32)
    moment = (
        calibrate(Masked().eval(), contract(), [ClassificationData(inputs={"ids": ids}, labels=labels)])
        .usage["mix.weight"]
        .moment
    )
    assert moment is not None
    assert np.isfinite(moment).all()
