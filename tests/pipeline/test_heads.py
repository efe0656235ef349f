"""Each head of a model is measured and gated by itself: one that is broken alone fails by its name."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.mean import write_mean
from tests.two_heads import write

from pocketrec.errors import PocketrecError, RecipeError
from pocketrec.package.bundle import read_bundle
from pocketrec.pipeline.build import BuildResult, build
from pocketrec.pipeline.compare.against import baseline_at, with_versus
from pocketrec.pipeline.compare.diff import compared
from pocketrec.pipeline.compare.moved import Judge
from pocketrec.pipeline.evaluator import make_evaluator
from pocketrec.pipeline.judged import contradictions
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.search import search_plan
from pocketrec.pipeline.sources import load_evaluation, load_source
from pocketrec.quantize import Plan
from pocketrec.quantize.planner import Measured
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.recipe import Compress, Target
from pocketrec.recipe.compress import Cost
from pocketrec.report import COMPRESSED, Evidence, ReleaseDiff, plain
from pocketrec.report.reading import read_evidence
from pocketrec.source.loaded import Loaded, search_data
from pocketrec.validate.report.headline import headlines
from pocketrec.validate.report.html import to_html
from pocketrec.validate.report.junit import to_junit
from pocketrec.validate.report.quality import calibration, metrics, slices
from pocketrec.validate.report.releases.page import releases_page
from pocketrec.validate.report.releases.parts import parts_of
from pocketrec.workers import Workers

COARSE = """
[compress]
max_auc_drop = 0.01
[compress.tensors]
"buy.weight" = { scheme = "palette", bits = 1 }
[gates.compression]
max_auc_drop = 0.02
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    folder = tmp_path_factory.mktemp("heads")
    return build(write(folder, COARSE), out=folder / "bundle")


def gates(evidence: Evidence, target: str) -> dict[str, str]:
    return {each.gate: each.status for each in evidence.gates if each.target == target}


def test_weights_of_one_head_that_are_noise_fail_the_build_by_that_head(built: BuildResult) -> None:
    found = gates(built.evidence, COMPRESSED)
    assert not built.passed
    assert found["compression loss: auc of buy"] == "failed"
    assert found["compression loss: max_auc_drop of buy"] == "failed"
    assert found["compression loss: auc of click"] == "passed"
    assert found["compression loss: max_auc_drop of click"] == "passed"


def test_an_artifact_is_held_to_what_its_own_model_reaches_head_by_head(built: BuildResult) -> None:
    found = gates(built.evidence, "onnx")
    for name in ("click", "buy"):
        for gate in ("max_auc_drop", "max_log_loss_rise", "can_fail"):
            assert found[f"{gate} of {name}"] == "passed"
    assert "max_auc_drop" not in found


def test_every_head_has_its_figures_and_its_calibration(built: BuildResult) -> None:
    _, cost, onnx = built.evidence.results
    assert [each.name for each in onnx.rankings] == ["click", "buy"]
    click, buy = cost.rankings
    assert click.calibration is not None
    assert click.calibration.warning == ""
    assert click.reference == click.artifact
    assert buy.calibration is not None
    assert "calibration error rose" in buy.calibration.warning
    assert buy.artifact["ece"] > buy.reference["ece"]
    assert (click.slices, len(buy.slices)) == ((), 2)
    assert {each.output for each in onnx.rows} == {"click", "purchase"}
    assert len(onnx.rows) == 2, "rows that both evaluate are compared once"


def test_reports_say_which_head_is_meant(built: BuildResult) -> None:
    evidence = built.evidence
    assert next(row[2:4] for row in metrics(evidence).rows if row[0] == "onnx") == ("click", "auc")
    assert {row[2] for row in slices(evidence).rows} == {"buy"}
    assert [row[2] for row in calibration(evidence).rows if row[0] == COMPRESSED] == ["click", "buy"]
    assert headlines(evidence)[0].label == "Change of auc of buy, at worst"
    assert 'name="compression loss: auc of buy"' in to_junit(evidence)
    page = to_html(evidence)
    assert "onnx on onnxruntime, buy" in page
    assert "compressed, click" in page


def test_evidence_is_read_again_as_it_was(built: BuildResult) -> None:
    table = json.loads((built.path / "evidence/evidence.json").read_text())
    found = read_evidence(table, source="evidence.json")
    again, once = ([asdict(each) for each in one.results] for one in (found, built.evidence))
    assert plain(again) == plain(once)
    assert list(table["further_data"]) == ["buy"]
    assert table["further_data"]["buy"] != table["data_sha256"], "labels are others"


def test_evidence_that_lacks_a_head_contradicts_its_gates(built: BuildResult) -> None:
    recipe = json.loads((built.path / "recipe.json").read_text())
    table: dict[str, Any] = json.loads((built.path / "evidence/evidence.json").read_text())
    assert list(contradictions(recipe, table)) == []
    for each in table["results"]:
        each["further"] = []
    (said,) = contradictions(recipe, table)
    assert "gate quality of buy of onnx on onnxruntime: quality was not compared" in said
    for each in table["results"]:
        each["ranking"] = None
    assert len(list(contradictions(recipe, table))) == 2


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    recipe = write(tmp_path_factory.mktemp("loaded"))
    return load_source(load_recipe(recipe), recipe.parent)


def test_a_search_gives_up_no_head_for_another(loaded: Loaded) -> None:
    measure = make_evaluator(loaded.model.module, loaded.model.contract, loaded.asked, {})
    assert [each.name for each in measure.evaluations] == ["click", "buy"]
    exact, click, buy = (
        measure(each) for each in ({}, {"click.weight": Palette(bits=1)}, {"buy.weight": Palette(bits=1)})
    )
    assert set(exact.losses) == {f"{each} of {head}" for each in METRICS for head in ("click", "buy")}
    assert buy.losses["auc of click"] == 0
    assert buy.losses["auc of buy"] > 0.01
    assert click.losses["auc of buy"] == 0
    assert click.losses["auc of click"] > 0.01
    assert min(click.distortion, buy.distortion) > 0.1 > exact.distortion, "the worst of both heads"


METRICS = ("auc", "log_loss", "ece")
ONLY_ONE = 1
TENSORS = ("offer.weight", "click.weight", "buy.weight")


def searched(loaded: Loaded, heads: int, compress: Compress, folder: Path) -> tuple[Measured, Plan, int]:
    """The plan of a search that measures so many heads, what it costs both, and its bytes."""
    model = loaded.model
    found = search_plan(
        compress,
        make_evaluator(model.module, model.contract, loaded.asked[:heads], {}),
        {"onnx": Target(format="onnx")},
        dict.fromkeys(TENSORS, ("main",)),
        folder,
        workers=Workers(),
        progress=lambda *told: None,
    )
    cost = make_evaluator(model.module, model.contract, loaded.asked, {})(found.plan.tensors)
    return cost, found.plan, next(each.size_bytes for each in found.front if each.chosen)


def test_a_plan_holds_the_limit_of_each_head(loaded: Loaded, tmp_path: Path) -> None:
    budget = Compress(max_auc_drop=0.002, time_limit_s=120)
    cost, _, alone = searched(loaded, ONLY_ONE, budget, tmp_path / "one")
    assert cost.losses["auc of click"] <= 0.002
    assert cost.losses["auc of buy"] > 0.01, "what a search does to a head that it does not measure"
    cost, _, both = searched(loaded, 2, budget, tmp_path / "both")
    assert max(cost.losses["auc of click"], cost.losses["auc of buy"]) <= 0.002
    own = replace(budget, evaluate={"buy": Cost(max_auc_drop=0.05)})
    cost, _, loose = searched(loaded, 2, own, tmp_path / "own")
    assert cost.losses["auc of click"] <= 0.002
    assert cost.losses["auc of buy"] <= 0.05
    assert alone < loose < both, "what one head may lose is used, and no more than that"


def test_where_only_a_size_is_stated_the_head_that_moves_most_decides(loaded: Loaded, tmp_path: Path) -> None:
    cost, plan, _ = searched(loaded, 2, Compress(max_ratio=0.2, time_limit_s=120), tmp_path)
    tables = plan.to_table()
    assert set(tables) == set(TENSORS), "no head keeps float32 at the other's expense"
    assert max(cost.losses["auc of click"], cost.losses["auc of buy"]) < 0.02
    blind, _, _ = searched(loaded, ONLY_ONE, Compress(max_ratio=0.2, time_limit_s=120), tmp_path / "one")
    assert blind.losses["auc of buy"] > 0.02 > blind.losses["auc of click"]


def test_each_head_searches_on_its_own_labels_of_the_other_data(loaded: Loaded) -> None:
    searched = replace(loaded.recipe, compress=Compress(preset="smallest-neutral", **OTHER))
    found = search_data(replace(loaded, recipe=searched))
    assert [each.evaluate.arguments for each in found] == [
        {"head": head, "seed": 5} for head in ("click", "buy")
    ]
    labels = [next(iter(each.data.parts(400))) for each in found]
    assert (labels[0].labels != labels[1].labels).any()  # type: ignore[union-attr]


OTHER: Any = {"data": "model.py:data", "arguments": {"seed": 5}}


def against(old: Path, new: Path, judge: Judge) -> ReleaseDiff:
    return compared(read_bundle(old), read_bundle(new), lambda: judge)


def judge_of(loaded: Loaded, evidence: Evidence) -> Judge:
    return Judge(asked=loaded.asked, data_sha256={"click": evidence.data_sha256, **evidence.further_data})


def test_releases_are_compared_head_by_head(built: BuildResult, loaded: Loaded) -> None:
    judge = judge_of(loaded, built.evidence)
    found = against(built.path, built.path, judge)
    assert [each.name for each in found.rankings] == ["click", "buy"]
    assert all(each.quality is not None and not each.reason for each in found.rankings)
    titles = [each.title for each in parts_of(found)]
    assert "ranking of click" in titles
    assert "slices of buy" in titles
    assert "Ranking of buy" in releases_page(found)


def test_a_head_that_the_baseline_lacks_or_that_has_other_labels_is_not_comparable(
    built: BuildResult, loaded: Loaded
) -> None:
    judge = judge_of(loaded, built.evidence)
    other = against(built.path, built.path, replace(judge, data_sha256={**judge.data_sha256, "buy": "0"}))
    assert [bool(each.reason) for each in other.rankings] == [False, True]
    assert "evaluated on other data" in other.further[0].reason
    asked = [
        replace(each, name=name, evaluate=replace(each.evaluate, name=name))
        for each, name in zip(judge.asked, ("click", "bought"), strict=True)
    ]
    lacking = replace(judge, asked=tuple(asked), data_sha256={"click": "", "bought": ""})
    (_, moved) = against(built.path, built.path, lacking).rankings
    assert "has no evaluation 'bought'; it has click, buy" in moved.reason


def test_limits_against_a_baseline_hold_each_head(built: BuildResult, loaded: Loaded, tmp_path: Path) -> None:
    stated = "\n[gates.versus]\nmax_auc_drop = 0.01\n[gates.versus.evaluate.buy]\nmax_auc_drop = 0.002\n"
    recipe = load_recipe(write(tmp_path, stated))
    judge = judge_of(loaded, built.evidence)
    judge = replace(judge, data_sha256={**judge.data_sha256, "buy": "0"})
    found = with_versus(
        built.evidence, recipe, baseline_at(built.path), built.path, judge, lambda *told: None
    )
    ended = {each.gate: each.status for each in found.gates if each.gate.startswith("versus.max")}
    assert ended == {"versus.max_auc_drop of click": "passed", "versus.max_auc_drop of buy": "failed"}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[gates.evaluate.bought]\nmax_auc_drop = 0.01\n", "no such evaluation; known: click, buy"),
        ("[gates.evaluate.buy]\nmax_ndcg_drop = 0.01\n", "gates.evaluate.buy.max_ndcg_drop: the evaluation"),
        ("[compress.evaluate.bought]\nmax_auc_drop = 0.01\n", "no such evaluation; known: click, buy"),
        ("[compress.evaluate.buy]\nmax_ndcg_drop = 0.01\n", "compress.evaluate.buy.max_ndcg_drop: the eval"),
        ("[compress.evaluate.buy]\n", "no limit is given; give one of max_ndcg_drop, max_auc_drop"),
        ("[compress]\nmin_top_k_overlap = 0.9\n", "min_top_k_overlap: every evaluation is a classification"),
        ("[gates.versus]\nmax_churn = 0.1\n", "every evaluation is a classification, which has no lists"),
        ("[gates.slices.age]\nmax_auc_drop = 0.01\n", "gates.slices.age: no such slices; known: user"),
    ],
)
def test_a_limit_on_what_there_is_not_is_refused(more: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=told):
        load_recipe(write(tmp_path, more))


@pytest.mark.parametrize(
    ("stated", "changed", "said"),
    [
        (
            'head = "buy"',
            'head = "nobody"',
            "evaluate 'buy': evaluate.data = 'model.py:data' raised ValueError",
        ),
        ('head = "buy"', "seed = 1", "evaluate 'buy': evaluate.data = .*missing a required argument: 'head'"),
        ('head = "buy"', 'head = "lost"', "evaluate 'buy': labels: row 0 is nan; expected 0 or 1"),
        (
            'output = "purchase"',
            'output = "sale"',
            r"recipe\.toml: evaluate 'buy': evaluate: output 'sale' of function 'main'",
        ),
    ],
)
def test_what_is_wrong_with_one_of_several_evaluations_is_said_by_its_name(
    stated: str, changed: str, said: str, tmp_path: Path
) -> None:
    """The data of all come from one factory: its name alone would not tell them apart."""
    path = write(tmp_path)
    path.write_text(path.read_text().replace(stated, changed))
    source = tmp_path / "model.py"
    data = "ClassificationData(inputs=inputs, labels=np.full(ROWS, np.nan))"
    lost = f"    if head == 'lost':\n        return {data}\n"
    source.write_text(
        source.read_text().replace("    with torch.no_grad()", f"{lost}    with torch.no_grad()")
    )
    with pytest.raises(PocketrecError, match=said) as caught:
        load_evaluation(load_recipe(path), tmp_path)
    assert str(caught.value).count("evaluate 'buy'") == 1


def test_what_is_wrong_with_the_only_evaluation_is_said_without_a_name(tmp_path: Path) -> None:
    path = write_mean(tmp_path)
    path.write_text(path.read_text().replace('output = "scores"', 'output = "ranks"'))
    with pytest.raises(RecipeError, match=r"recipe\.toml: evaluate: output 'ranks' of function 'main'"):
        load_recipe(path)
