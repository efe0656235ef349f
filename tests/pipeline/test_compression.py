"""Compression in the pipeline: what was asked is audited against what was done, and its cost is gated."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.errors import PlanError, RecipeError
from pocketrec.evaluation import RankingData
from pocketrec.pipeline.audit import audit, tensors_read
from pocketrec.pipeline.calibration import row_popularity
from pocketrec.pipeline.compression import check_cost, check_gathered_names, check_loss, explicit_plan, limits
from pocketrec.quantize import Plan, plan_from_table
from pocketrec.quantize.schemes import SCHEMES
from pocketrec.recipe import Compress, Gates, Target
from pocketrec.recipe.measures import StepLimits
from pocketrec.report import Interval, MetricChange, RankingParity
from pocketrec.schema import from_table
from pocketrec.source.compressed import Compression, compress_trials
from pocketrec.source.model import Trials
from pocketrec.source.streamed import Stubbed

IDS = Feature(name="ids", kind="id_sequence", shape=(2, 3), vocabulary="item")
SCORES = Output(name="scores", meaning="score", shape=(2, 40), vocabulary="item")
CONTRACT = Contract(
    functions={"main": Signature(inputs=(IDS,), outputs=(SCORES,))},
    vocabularies={"item": VocabularySpec(size=40, padding_id=0), "genre": VocabularySpec(size=7)},
)
DATA = RankingData(
    inputs={"ids": np.array([[0, 5, 5], [5, 7, 39]], np.int32)},
    positives=np.array([1, 2]),
    seen_ids=np.array([5, 7, 8]),
    seen_offsets=np.array([0, 1, 3]),
    catalogue={},
)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(40, 8, padding_idx=0)
        self.mix = nn.Linear(8, 8)
        self.unused = nn.Embedding(7, 8)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.mix(self.item(ids)).mean(dim=1) @ self.item.weight.T
        return scores


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return Model().eval().requires_grad_(False)


def compressed(plan: Plan, module: nn.Module) -> Compression:
    trials = Trials(core=Stubbed(lowered=module), spans={}, make=lambda core, spans: iter(()))
    return compress_trials(trials, plan, {}, Path())[1]


def captured(module: nn.Module) -> dict[str, Capture]:
    probe = {"ids": torch.from_numpy(DATA.inputs["ids"].copy())}
    return {"main": capture(module, CONTRACT, "main", [probe, {"ids": probe["ids"] + 0}])}


def test_every_tensor_stands_in_the_audit_as_asked_and_as_done(model: nn.Module) -> None:
    asked = Compress(tensors={"item.weight": {"scheme": "linear", "bits": 4}})
    made = compressed(explicit_plan(asked, model, ()), model)
    rows = {each.name: each for each in audit(made, captured(made.module))}
    assert set(rows) == {"item.weight", "mix.weight", "mix.bias", "unused.weight"}
    item = rows["item.weight"]
    assert item.asked == (
        "{scheme = linear, bits = 4, granularity = per_row, symmetric = true, clipping = range, "
        "rounding = nearest}"
    )
    assert item.done == "linear 4 bit per_row, scales"
    assert item.functions == ("main",)
    assert (item.bytes_before, item.bytes_after) == (40 * 8 * 4, 40 * 4 + 40 * 2)
    assert 10 < item.sqnr_db < 40
    assert rows["mix.bias"].asked == ""
    assert rows["mix.bias"].done == "float32"
    assert sum(each.share for each in rows.values()) == pytest.approx(1)


def test_a_planned_tensor_that_no_function_reads_is_an_error(model: nn.Module) -> None:
    everything = {"item.weight", "mix.weight", "unused.weight"}
    made = compressed(explicit_plan(Compress(preset="int8"), model, everything), model)
    with pytest.raises(PlanError, match=r"unused\.weight: no function reads it"):
        audit(made, captured(made.module))


def test_a_preset_plans_tables_and_matrices_and_leaves_biases(model: nn.Module) -> None:
    read = tensors_read(model, captured(model))
    assert read == {
        "item.weight": ("main",),
        "mix.weight": ("main",),
        "mix.bias": ("main",),
        "unused.weight": (),
    }
    plan = explicit_plan(Compress(preset="int4"), model, [name for name, by in read.items() if by])
    assert list(plan.tensors) == ["item.weight", "mix.weight"]


def test_popularity_counts_inputs_and_history_and_leaves_padding_out(model: nn.Module) -> None:
    counts = row_popularity(model, CONTRACT, [DATA])
    assert counts.keys() == {"item.weight", "unused.weight"}
    assert counts["item.weight"][[0, 5, 7, 8, 39, 1]].tolist() == [1, 5, 3, 2, 2, 1]
    assert (counts["unused.weight"] == 1).all()


def test_a_pattern_of_gather_codes_that_fits_nothing_is_an_error() -> None:
    targets = {"coreml": Target(format="coreml", gather_codes=("item.*", "users.*"))}
    check_gathered_names({"coreml": Target(format="coreml", gather_codes=("item.*",))}, ["item.weight"])
    with pytest.raises(PlanError, match=r"targets\.coreml\.gather_codes: 'users\.\*' fits no compressed"):
        check_gathered_names(targets, ["item.weight"])


def ranking(before: float, after: float, overlap: float = 0.95) -> RankingParity:
    return RankingParity(
        examples=9, reference={"ndcg@10": before}, artifact={"ndcg@10": after}, top_k_overlap=overlap
    )


@pytest.mark.parametrize(
    ("compress", "after", "passed"),
    [
        (Compress(max_ndcg_drop=0.002), 0.0985, True),
        (Compress(max_ndcg_drop=0.002), 0.0975, False),
        (Compress(max_ndcg_drop=0.002), 0.2, True),
        (Compress(preset="int8"), 0.0996, True),
        (Compress(preset="int8"), 0.0994, False),
        (Compress(preset="int8"), float("nan"), False),
        (Compress(preset="int8", min_top_k_overlap=0.9), 0.1, True),
        (Compress(preset="int8", min_top_k_overlap=0.96), 0.1, False),
        (Compress(max_ndcg_drop=0.099), 0.05, True),
        (Compress(max_ndcg_drop=0.1), 0.1, False),  # which no model could fail
    ],
)
def test_a_loss_beyond_the_limit_fails_and_a_gain_does_not(
    compress: Compress, after: float, passed: bool
) -> None:
    gates = check_loss(compress, ranking(0.1, after))
    assert all(each.status == "passed" for each in gates) == passed


def test_a_budget_that_holds_says_what_its_interval_leaves_open() -> None:
    interval = Interval(low=-0.004, high=0.001, confidence=0.95)
    change = MetricChange(
        metric="ndcg@10",
        before=0.1,
        after=0.0985,
        examples=900,
        resampled="users",
        deviation=0.02,
        intervals=(interval,),
    )
    cost = replace(ranking(0.1, 0.0985), changes=(change,))
    (gate,) = check_loss(Compress(max_ndcg_drop=0.002), cost)
    assert gate.status == "passed"
    assert gate.message.endswith(
        "; by its interval down to -0.004; a larger change is not excluded, about 6147 users would tell"
    )
    (held,) = check_cost(Gates(compression=StepLimits(max_ndcg_drop=0.002)), cost)
    assert (held.gate, held.target, held.status) == (
        "compression loss: max_ndcg_drop",
        "compressed",
        "failed",
    )
    assert check_cost(Gates(), cost) == ()


def test_a_loss_without_a_limit_is_skipped_by_name() -> None:
    (gate,) = check_loss(Compress(max_ratio=0.1), ranking(0.1, 0.01))
    assert (gate.gate, gate.status) == ("compression loss: ndcg@10", "skipped")
    assert gate.message == "0.01000 compressed, 0.10000 before; no limit is stated"


def test_limits_are_as_stated_or_neutral() -> None:
    assert limits(Compress(preset="int8"), {"ndcg@10": 0.2, "hr@10": 0.3}) == {
        "ndcg@10": pytest.approx(0.001)
    }
    assert limits(Compress(preset="int8"), {"auc": 0.8, "log_loss": 0.5}) == {"auc": 0.0005}
    assert limits(Compress(max_auc_drop=0.01), {"auc": 0.8}) == {"auc": 0.01}
    assert limits(Compress(max_ratio=0.1), {"auc": 0.8}) == {}
    assert limits(Compress(max_ratio=0.1, max_auc_drop=0.01), {"auc": 0.8}) == {"auc": 0.01}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tensors": {"a": {}}, "preset": "int8"}, r"tensors is a whole plan"),
        ({"preset": "int8", "max_ratio": 0.1}, r"preset 'int8' is a whole plan"),
        ({"max_size_mb": -1.0}, r"compress\.max_size_mb is -1\.0; expected more than 0"),
    ],
)
def test_contradictions_in_a_recipe_are_errors(given: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Compress(**given)  # type: ignore[arg-type]


def test_only_a_budget_or_the_neutral_preset_searches() -> None:
    assert not Compress().active
    assert not Compress(preset="int8", max_ndcg_drop=0.002).searches
    assert not Compress(tensors={"a": {"scheme": "linear"}}, max_ndcg_drop=0.002).searches
    assert Compress(max_ndcg_drop=0.002).searches
    assert Compress(preset="smallest-neutral").searches


def test_every_compress_table_of_the_docs_loads_and_its_schemes_are_known() -> None:
    text = (Path(__file__).parents[2] / "docs" / "compression.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 6
    for block in blocks:
        compress = from_table(Compress, tomllib.loads(block)["compress"], source="docs/compression.md")
        assert compress.active
        plan_from_table(compress.tensors)
    assert set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE)) == set(SCHEMES)
