"""Lessons: what is ranked is what is taught, on rows that are apart, in batches that a contract takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.evaluation import Asked, RankingData
from pocketrec.pipeline.lessons import CatalogueScores, lessons_of
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.distillation import distil
from pocketrec.quantize.reference import with_values
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.recipe import Evaluate

ITEMS, USERS, WIDTH = 60, 240, 8


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(ITEMS, WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)

    def user(self, history: Tensor) -> Tensor:
        vectors: Tensor = self.mix(self.table(history).mean(dim=1))
        return vectors

    def item(self, ids: Tensor) -> Tensor:
        vectors: Tensor = nn.functional.normalize(self.table(ids), dim=-1)
        return vectors


def contract(batch: int = 64) -> Contract:
    history = Feature(name="history", kind="id_sequence", shape=("batch", 4), vocabulary="item")
    ids = Feature(name="ids", kind="id", shape=("batch",), vocabulary="item")
    vector = Output(name="vector", meaning="embedding", shape=("batch", WIDTH))
    return Contract(
        dims={"batch": Dim(max=batch)},
        functions={
            "user": Signature(method="user", inputs=(history,), outputs=(vector,)),
            "item": Signature(method="item", inputs=(ids,), outputs=(vector,)),
        },
        vocabularies={"item": VocabularySpec(size=ITEMS)},
    )


@pytest.fixture
def towers() -> Towers:
    return Towers().eval().requires_grad_(False)


@pytest.fixture
def asked() -> Asked:
    history = np.random.default_rng(0).integers(0, ITEMS, (USERS, 4)).astype(np.int32)
    data = RankingData(
        inputs={"history": history},
        positives=np.zeros(USERS, np.int64),
        catalogue={"ids": np.arange(ITEMS, dtype=np.int32)},
    )
    evaluate = Evaluate(
        data="none",
        kind="ranking",
        function="user",
        output="vector",
        catalogue_function="item",
        catalogue_output="vector",
    )
    return Asked(evaluate=evaluate, data=data)


def test_two_functions_that_are_multiplied_are_one_lesson_on_lists(towers: Towers, asked: Asked) -> None:
    (lesson,) = lessons_of(towers, contract(), [asked])
    assert lesson.lists == (True,)
    assert isinstance(lesson.function, CatalogueScores)
    history, ids = lesson.held_out[0]
    (scores,) = lesson.function(history, ids)
    expected = towers.user(history) @ towers.item(ids).T
    assert torch.allclose(scores, lesson.function.scale * expected, atol=1e-5)
    assert float(scores.std(dim=1).mean()) == pytest.approx(3.0, rel=1e-4)


def test_where_nothing_is_multiplied_each_function_is_a_lesson(towers: Towers, asked: Asked) -> None:
    evaluate = replace(asked.evaluate, catalogue_function=None, catalogue_output=None)
    lessons = lessons_of(towers, contract(), [replace(asked, evaluate=evaluate)])
    assert [each.lists for each in lessons] == [(False,), (False,)]
    assert [len(each.batches[0]) for each in lessons] == [1, 1]


def test_a_side_with_more_than_its_vector_is_taught_that_too(towers: Towers, asked: Asked) -> None:
    known = contract()
    other = Output(name="other", meaning="embedding", shape=("batch", WIDTH))
    item = known.functions["item"]
    both = replace(item, outputs=(*item.outputs, other))
    towers.item = lambda ids: (towers.table(ids), 2 * towers.table(ids))  # type: ignore[method-assign, assignment, return-value]
    lessons = lessons_of(towers, replace(known, functions={**known.functions, "item": both}), [asked])
    assert [each.lists for each in lessons] == [(True,), (False, False)]


def test_rows_that_are_held_out_are_not_taught_and_every_item_is_seen(towers: Towers, asked: Asked) -> None:
    (lesson,) = lessons_of(towers, contract(), [asked])
    taught = {tuple(row) for history, _ in lesson.batches for row in history.tolist()}
    held_out = {tuple(row) for history, _ in lesson.held_out for row in history.tolist()}
    assert len(taught) + len(held_out) > USERS - 10
    assert taught.isdisjoint(held_out)
    assert {each for _, ids in lesson.batches for each in ids.tolist()} == set(range(ITEMS))


@pytest.mark.parametrize("most", [1, 7, 64])
def test_items_go_through_their_function_in_batches_that_the_contract_takes(
    most: int, towers: Towers, asked: Asked
) -> None:
    taken: list[int] = []
    item = towers.item
    towers.item = lambda ids: taken.append(len(ids)) or item(ids)  # type: ignore[method-assign, func-returns-value]
    (lesson,) = lessons_of(towers, contract(batch=most), [asked])
    assert all(len(history) <= most for history, _ in lesson.batches)
    assert set(taken) == {min(most, ITEMS)}


def test_distilled_scores_are_nearer_than_distilled_vectors(towers: Towers, asked: Asked) -> None:
    """On inputs that neither has seen, as lists: the divergence of the softmaxes of scores."""
    _, codes = compress(towers, Plan(tensors={"table.weight": Palette(bits=2)}))
    alone = replace(asked.evaluate, catalogue_function=None, catalogue_output=None)
    history = torch.from_numpy(np.random.default_rng(9).integers(0, ITEMS, (200, 4)).astype(np.int32))
    ids = torch.arange(ITEMS, dtype=torch.int32)
    (judge,) = lessons_of(towers, contract(), [asked])
    assert isinstance(judge.function, CatalogueScores)
    scale = judge.function.scale

    def scores(module: Towers) -> Tensor:
        return (scale * module.user(history) @ module.item(ids).T).log_softmax(dim=1)

    found = {}
    for name, each in (("scores", asked), ("vectors", replace(asked, evaluate=alone))):
        lessons = lessons_of(towers, contract(), [each])
        tuned = distil(towers, codes, list(codes), lessons, steps=200).codes["table.weight"]
        ours = scores(with_values(towers, {"table.weight": tuned.dequantize()}))
        wanted = scores(towers)
        found[name] = float((wanted.exp() * (wanted - ours)).sum(dim=1).mean())
    assert found["scores"] < found["vectors"]
