"""Ids that a model lists, and tables that it reads, against the tokens that there are for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import ContractError
from pocketrec.evaluation import Asked, RankingData
from pocketrec.pipeline.references import torch_runtimes
from pocketrec.pipeline.world import check_model
from pocketrec.recipe import Evaluate
from pocketrec.validate.evidence import Reference, examine_reference


class Best(nn.Module):
    """The three best of all rows of its table."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(rows, 4)

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.item(history).mean(1) @ self.item.weight.T
        return scores, scores.topk(3).indices


def reference(module: nn.Module, rows: int, tokens: int) -> Reference:
    history = Feature(
        name="history",
        kind="id_sequence",
        shape=("batch", 4),
        vocabulary="item",
        out_of_vocabulary="padding",
    )
    outputs = (
        Output(name="scores", meaning="score", shape=("batch", rows)),
        Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", 3), vocabulary="item"),
    )
    contract = Contract(
        functions={"main": Signature(inputs=(history,), outputs=outputs)},
        dims={"batch": Dim(max=4)},
        vocabularies={"item": VocabularySpec(size=tokens, padding_id=0)},
    )
    rng = np.random.default_rng(0)
    inputs = {"history": rng.integers(1, tokens, (6, 4)).astype(np.int32)}
    return examine_reference(
        torch_runtimes(module.eval(), contract),
        contract,
        [
            Asked(
                evaluate=Evaluate(data="x:y", kind="ranking", output="scores"),
                data=RankingData(inputs=inputs, positives=np.arange(1, 7)),
            )
        ],
    )


def test_as_many_rows_as_tokens_leave_nothing_to_say() -> None:
    module = Best(12)
    assert check_model(module, reference(module, 12, 12)) == ()


def test_an_id_that_no_token_stands_for_is_named() -> None:
    module = Best(12)
    with pytest.raises(ContractError, match=r"output ids lists id \d+ on probe .*'item' has 9 tokens: give"):
        check_model(module, reference(module, 12, 9))


def test_an_id_without_a_token_on_the_evaluation_data_alone_is_named() -> None:
    module = Best(12)
    known = reference(module, 12, 12)
    (evaluation,) = known.evaluations
    kept = evaluation.quality.kept["main"]
    lists = kept.values["ids"].copy()
    lists[4, 1] = 12
    quality = replace(evaluation.quality, kept={"main": replace(kept, values={**kept.values, "ids": lists})})
    listed = replace(known, evaluations=(replace(evaluation, quality=quality),))
    with pytest.raises(ContractError, match="lists id 12 on the evaluation data; vocabulary 'item' has 12"):
        check_model(module, listed)


def test_rows_of_a_table_that_have_no_token_are_said() -> None:
    module = Best(12)
    known = reference(module, 12, 9)
    (out, ids) = known.contract.functions["main"].outputs
    signature = replace(known.contract.functions["main"], outputs=(out, replace(ids, vocabulary=None)))
    bare = replace(known, contract=replace(known.contract, functions={"main": signature}))
    (note,) = check_model(module, bare)
    assert note.startswith("Vocabulary item has 9 tokens, and the table that history reads has 12 rows")
    assert note.endswith(": ids 9 to 11 have no token.")
