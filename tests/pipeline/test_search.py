"""The search in the pipeline: real measurements, resumed from the file, and an honest miss."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import BudgetMissed, PlanError, StorageError
from pocketrec.evaluation import Asked, ClassificationData, RankingData
from pocketrec.pipeline.evaluator import Evaluator, make_evaluator
from pocketrec.pipeline.overhead import Room
from pocketrec.pipeline.search import Searched, offered, search_plan, streamed_trials
from pocketrec.quantize import plan_from_table
from pocketrec.quantize.planner import Measured
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.usage import Usage
from pocketrec.recipe import Compress, Evaluate, Limit, Target
from pocketrec.report import PlanPoint
from pocketrec.workers import Workers

ITEMS, USERS = 80, 60
READ = {"item.weight": ("main",), "catalogue": ("search",), "aside.weight": ("other",)}
TARGETS = {"coreml": Target(format="coreml", minimum_deployment_target="iOS18")}


class Model(nn.Module):
    catalogue: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(ITEMS, 16, padding_idx=0)
        self.aside = nn.Embedding(ITEMS, 16)
        self.register_buffer("catalogue", torch.randn(ITEMS, 16))

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.item(ids).mean(dim=1) @ self.item.weight.T
        return scores

    def search(self, ids: Tensor) -> Tensor:
        scores = self.item(ids).mean(dim=1) @ self.catalogue.T
        best: Tensor = scores.topk(10).indices.int()
        return best

    def other(self, ids: Tensor) -> Tensor:
        rows: Tensor = self.aside(ids)
        return rows


def contract(users: int | str = USERS) -> Contract:
    ids = Feature(name="ids", kind="id_sequence", shape=(users, 4), vocabulary="item")
    outputs = {
        "main": Output(name="scores", meaning="score", shape=(users, ITEMS), vocabulary="item"),
        "search": Output(
            name="best", meaning="top_k_ids", dtype="int32", shape=(users, 10), vocabulary="item"
        ),
        "other": Output(name="rows", meaning="embedding", shape=(users, 4, 16)),
    }
    return Contract(
        dims={users: Dim(max=USERS)} if isinstance(users, str) else {},
        functions={
            name: Signature(method="forward" if name == "main" else name, inputs=(ids,), outputs=(each,))
            for name, each in outputs.items()
        },
        vocabularies={"item": VocabularySpec(size=ITEMS, padding_id=0)},
    )


@pytest.fixture
def evaluator() -> Evaluator:
    torch.manual_seed(0)
    module = Model().eval().requires_grad_(False)
    ids = np.random.default_rng(0).integers(1, ITEMS, (USERS, 4)).astype(np.int32)
    data = RankingData(
        inputs={"ids": ids},
        positives=module(torch.from_numpy(ids)).numpy()[:, 1:].argmax(axis=1) + 1,
        seen_ids=np.zeros(0, np.int64),
        seen_offsets=np.zeros(USERS + 1, np.int64),
        catalogue={},
    )
    evaluate = Evaluate(data="none", kind="ranking", output="scores")
    return make_evaluator(module, contract(), [Asked(evaluate=evaluate, data=data)], {})


def quiet(stage: str, done: int, total: int) -> None:
    pass


def run(
    compress: Compress,
    evaluator: Evaluator,
    folder: Path,
    workers: Workers | None = None,
    read: Mapping[str, tuple[str, ...]] = READ,
    targets: Mapping[str, Target] = TARGETS,
) -> Searched:
    return search_plan(
        compress, evaluator, targets, read, folder, workers=workers or Workers(), progress=quiet
    )


def test_a_table_that_only_another_function_reads_is_measured_by_that_function(evaluator: Evaluator) -> None:
    assert [each.evaluate.function for each in evaluator.evaluations] == ["main", "search"]
    assert evaluator({"catalogue": Palette(bits=1)}).distortion > 0.1
    assert evaluator({"aside.weight": Palette(bits=1)}).distortion == 0


def test_the_plan_is_within_the_loss_and_written_down(evaluator: Evaluator, tmp_path: Path) -> None:
    found = search_plan(
        Compress(max_ndcg_drop=0.05), evaluator, TARGETS, READ, tmp_path, workers=Workers(), progress=quiet
    )
    plan, front = found.plan, found.front
    measured = evaluator(plan.tensors)
    assert measured.losses["ndcg@10"] <= 0.05
    chosen = [each for each in front if each.chosen]
    assert len(chosen) == 1
    assert chosen[0].ratio < 0.3
    written = tomllib.loads((tmp_path / "plan.toml").read_text())["compress"]["tensors"]
    assert plan_from_table(written) == plan
    pareto = json.loads((tmp_path / "pareto.json").read_text())
    assert len(pareto["front"]) == len(front)


def test_the_front_says_between_what_a_loss_lies(evaluator: Evaluator, tmp_path: Path) -> None:
    """By the differences of the same users, which are fewer than either model's own spread."""
    found = run(Compress(max_ratio=0.3), evaluator, tmp_path)
    moved = [each for each in found.front if each.losses["ndcg@10"] > 0]
    assert moved
    for each in moved:
        low, high = each.intervals["ndcg@10"]
        assert low < each.losses["ndcg@10"] < high
        assert (low + high) / 2 == pytest.approx(each.losses["ndcg@10"])
    front = json.loads((tmp_path / "pareto.json").read_text())["front"]
    assert [each["intervals"].keys() for each in front] == [each.losses.keys() for each in found.front]


def test_a_table_that_nothing_measures_is_stored_in_8_bits(evaluator: Evaluator, tmp_path: Path) -> None:
    found = search_plan(
        Compress(max_ndcg_drop=0.5), evaluator, TARGETS, READ, tmp_path, workers=Workers(), progress=quiet
    )
    assert found.plan.tensors["aside.weight"] == Linear(bits=8)


def test_a_second_search_measures_nothing_again(evaluator: Evaluator, tmp_path: Path) -> None:
    run(Compress(max_ndcg_drop=0.05), evaluator, tmp_path)
    lines = (tmp_path / "measurements.jsonl").read_text()
    run(Compress(max_ndcg_drop=0.05), evaluator, tmp_path)
    assert (tmp_path / "measurements.jsonl").read_text() == lines


def test_what_is_known_of_a_form_is_weighed_again_where_tensors_are_used_otherwise(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    """Frozen scales of an earlier release change what a form costs, and what counts changes its noise."""

    def keys(name: str) -> list[str]:
        return [json.loads(each)["key"] for each in (tmp_path / name).read_text().splitlines()]

    run(Compress(max_ratio=0.3), evaluator, tmp_path)
    before = {name: keys(name) for name in ("candidates.jsonl", "measurements.jsonl")}
    assert len(before["candidates.jsonl"]) > 30
    run(Compress(max_ratio=0.3), replace(evaluator, _made={}), tmp_path)
    assert {name: keys(name) for name in before} == before
    usage = {"item.weight": Usage(popularity=np.linspace(1, 9, ITEMS))}
    run(Compress(max_ratio=0.3), replace(evaluator, usage=usage, _made={}), tmp_path)
    for name, known in before.items():
        assert set(keys(name)[len(known) :]).isdisjoint(known)
        assert len(keys(name)) > len(known)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("candidates.jsonl", "size_bytes", 0), ("measurements.jsonl", "distortion", 0.0)],
)
def test_a_line_that_was_edited_is_found_out_again(
    name: str, field: str, value: float, evaluator: Evaluator, tmp_path: Path
) -> None:
    """Sizes and costs that nobody found would choose the plan."""
    found = run(Compress(max_ratio=0.2), evaluator, tmp_path)
    path = tmp_path / name
    lines = path.read_text().splitlines()
    edited = [json.dumps(json.loads(each) | {field: value}) for each in lines]
    assert edited != lines
    path.write_text("".join(f"{each}\n" for each in edited))
    assert run(Compress(max_ratio=0.2), replace(evaluator, _made={}), tmp_path) == found
    again = path.read_text().splitlines()[len(lines) :]
    assert sorted(again) == sorted(each for each in lines if each not in edited)


def test_a_model_without_anything_to_compress_is_refused(evaluator: Evaluator, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"no function reads a float table or matrix .*leave compress out"):
        run(Compress(max_ratio=0.2), evaluator, tmp_path, read={})


def test_few_rows_are_spread_over_all_and_there_are_none_of_small_data(evaluator: Evaluator) -> None:
    assert evaluator.sampled(16) is None  # it takes all users at once
    evaluator = replace(evaluator, contract=contract(users="batch"))
    few = evaluator.sampled(16)
    assert few is not None
    assert [len(each.data) for each in few.evaluations] == [16, 16]
    scheme = {"item.weight": Palette(bits=2)}
    assert 0 < few(scheme).distortion < 1
    assert few(scheme) != evaluator(scheme)
    assert few({}).distortion == 0
    assert evaluator.sampled(USERS // 2 + 1) is None


class Turned(Model):
    """The same weights, read otherwise."""

    def forward(self, ids: Tensor) -> Tensor:
        return -super().forward(ids)


def test_what_was_measured_of_other_code_with_the_same_weights_is_measured_again(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    run(Compress(max_ratio=0.3), evaluator, tmp_path)
    before = (tmp_path / "measurements.jsonl").read_text().splitlines()
    turned = Turned().eval().requires_grad_(False)
    turned.load_state_dict(evaluator.module.state_dict())
    run(Compress(max_ratio=0.3), replace(evaluator, module=turned, _original=None, _made={}), tmp_path)
    after = (tmp_path / "measurements.jsonl").read_text().splitlines()[len(before) :]
    keys = [{json.loads(each)["key"] for each in lines} for lines in (before, after)]
    assert keys[1]
    assert keys[0].isdisjoint(keys[1])


def test_forms_that_an_older_deployment_target_has_not_are_said_to_be_left_out(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    """Searches for iOS17, which nobody had asked for, ended at 2 bits where iOS18 had far better forms."""
    asked, said = Compress(max_ndcg_drop=0.5), "compress: app is for iOS17, which has no product codes"
    newest = Target(format="coreml", precision="float16", minimum_deployment_target="iOS18")
    older = replace(newest, minimum_deployment_target="iOS17")
    for name, target in (("newest", newest), ("older", older)):
        found = run(asked, evaluator, tmp_path / name, targets={"app": target})
        assert any(each.startswith(said) for each in found.notes) == (target is older)


def test_an_impossible_budget_names_the_nearest_plan_and_writes_it(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    message = r"no plan holds max_size_mb = 1e-06, max_ndcg_drop = 0\.01; the nearest has 0\.\d+ MB \("
    with pytest.raises(BudgetMissed, match=message):
        run(Compress(max_size_mb=1e-6, max_ndcg_drop=0.01), evaluator, tmp_path)
    assert "item.weight" in (tmp_path / "plan.toml").read_text()


def test_a_search_that_ran_out_of_time_says_so(evaluator: Evaluator, tmp_path: Path) -> None:
    with pytest.raises(BudgetMissed, match=r"time_limit_s = 1e-09 ended the search before a plan that holds"):
        run(Compress(max_size_mb=1e-6, max_ndcg_drop=0.01, time_limit_s=1e-9), evaluator, tmp_path)


def test_of_a_plan_that_time_or_loss_decided_it_is_said(evaluator: Evaluator, tmp_path: Path) -> None:
    done = run(Compress(max_ndcg_drop=0.5), evaluator, tmp_path / "done")
    assert done.plan.tensors
    assert done.notes == ()
    found = run(Compress(max_ratio=0.3, time_limit_s=1e-9), evaluator, tmp_path / "late")
    said, ungated = found.notes
    assert said.startswith("compress: time_limit_s = 1e-09 ended the search after 3 plans; ")
    assert ungated.startswith(
        "compress: no loss is limited, so nothing gates what the size costs, hr@10 loss "
    )
    assert "late, and the same build with more time goes on" in said
    fragile = Fragile(**{each.name: getattr(evaluator, each.name) for each in fields(evaluator)})
    found = run(Compress(max_ndcg_drop=0.01), fragile, tmp_path / "none", read={"item.weight": ("main",)})
    assert found.plan.tensors == {}
    (said,) = found.notes
    assert said.startswith(
        "compress: nothing is compressed, as no plan that was measured keeps the loss within"
    )
    assert re.search(r"the least change has \d+\.\d% of float32 at hr@10 loss \+0\.5\d+, ndcg@10 loss", said)
    assert "none/pareto.json" in said


class Fragile(Evaluator):
    """Loses half of everything with whatever is compressed."""

    def __call__(self, schemes: Mapping[str, Scheme]) -> Measured:
        half = 0.5 if schemes else 0.0
        return replace(super().__call__(schemes), losses={"ndcg@10": half, "hr@10": half})


def test_a_target_that_carries_less_gets_a_plan_that_it_can_carry(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    old = {"coreml": Target(format="coreml", minimum_deployment_target="iOS17")}
    found = search_plan(
        Compress(max_ndcg_drop=0.5), evaluator, old, READ, tmp_path, workers=Workers(), progress=quiet
    )
    assert {each.scheme for each in found.plan.tensors.values()} <= {"linear", "palette", "float16"}


def test_workers_give_the_measurements_of_one_process(evaluator: Evaluator, tmp_path: Path) -> None:
    budget = Compress(max_ndcg_drop=0.05)
    alone = run(budget, evaluator, tmp_path / "one")
    assert run(budget, evaluator, tmp_path / "two", Workers(count=2, engine="threading")) == alone


@pytest.mark.parametrize("name", ["measurements.jsonl", "plan.toml", ""])
def test_what_is_in_the_way_of_a_search_is_named(name: str, evaluator: Evaluator, tmp_path: Path) -> None:
    folder = tmp_path / "search"
    if name:
        (folder / name).mkdir(parents=True)
    else:
        folder.write_text("")
    with pytest.raises(StorageError, match=rf"search/?{name}: .*move what is in the way, or free space"):
        run(Compress(max_ndcg_drop=0.05), evaluator, folder)


def test_labels_are_measured_by_auc_and_rank_correlation() -> None:
    class Click(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.linspace(-1, 1, 40).reshape(40, 1))

        def forward(self, ids: Tensor) -> Tensor:
            return torch.sigmoid(self.weight[ids.long()])[:, 0]

    ids = np.arange(40, dtype=np.int32)
    data = ClassificationData(inputs={"ids": ids}, labels=(ids > 20).astype(np.float32))
    click = Contract(
        functions={
            "main": Signature(
                inputs=(Feature(name="ids", kind="id", shape=(40,), vocabulary="item"),),
                outputs=(Output(name="p", meaning="probability", shape=(40,)),),
            )
        },
        vocabularies={"item": VocabularySpec(size=40)},
    )
    evaluate = Evaluate(data="none", kind="classification", output="p")
    measure = make_evaluator(
        Click().eval().requires_grad_(False), click, [Asked(evaluate=evaluate, data=data)], {}
    )
    assert measure({}).distortion == pytest.approx(0, abs=1e-3)
    coarse = measure({"weight": Palette(bits=1)})
    assert coarse.distortion > 0.05
    assert coarse.losses["auc"] >= 0
    for values in (
        torch.zeros(40, 1),
        torch.linspace(1, -1, 40).reshape(40, 1),
    ):  # nothing told apart; turned
        with torch.no_grad():
            measure.module.get_parameter("weight").copy_(values)
        ruined = replace(measure, _made={})({})
        assert (ruined.distortion, ruined.losses["auc"] > 0.4) == (1.0, True)


def room(besides: int) -> Room:
    """Of a package of every function, and as many bytes in them that are none of the tensors."""
    return Room(
        target=TARGETS["coreml"], besides=besides, places=dict.fromkeys(READ, ((("float32", "float32"),),))
    )


def test_a_budget_leaves_room_for_what_a_file_holds_besides(evaluator: Evaluator, tmp_path: Path) -> None:
    """So that the files hold it, and not their compressed tensors alone."""
    asked = Compress(max_size_mb=0.014, time_limit_s=60)
    sizes = []
    for besides in (0, 6000):
        found = search_plan(
            asked,
            evaluator,
            TARGETS,
            READ,
            tmp_path / str(besides),
            workers=Workers(),
            progress=lambda *_: None,
            rooms={"coreml": room(besides)},
        )
        sizes.append(next(each.size_bytes for each in found.front if each.chosen) + besides)
    assert max(sizes) <= 14_000
    said = (
        r"no plan holds max_size_mb = 0\.014; the nearest has .* MB in files of coreml with their graph, and "
    )
    with pytest.raises(BudgetMissed, match=said):
        search_plan(
            asked,
            evaluator,
            TARGETS,
            READ,
            tmp_path / "none",
            workers=Workers(),
            progress=lambda *_: None,
            rooms={"coreml": room(13_990)},
        )


def test_a_share_of_the_weights_is_held_beside_a_size_of_files(evaluator: Evaluator, tmp_path: Path) -> None:
    """Of the weights alone: a float16 package holds what is not compressed in half of its bytes."""
    asked = Compress(max_size_mb=1, max_ratio=0.6, time_limit_s=60)
    half = Room(target=TARGETS["coreml"], besides=0, places=dict.fromkeys(READ, ((("float16", "float16"),),)))
    found = search_plan(
        asked, evaluator, TARGETS, READ, tmp_path, workers=Workers(), progress=quiet, rooms={"coreml": half}
    )
    plain = dict.fromkeys(READ, 4 * ITEMS * 16)
    codes = {name: evaluator.quantized(name, each).size_bytes for name, each in found.plan.tensors.items()}
    assert sum({**plain, **codes}.values()) <= 0.6 * sum(plain.values())


BOTH = {
    "coreml": room(5000),
    "onnx": replace(room(200), target=Target(format="onnx", precision="float32")),
}


def of_both(limit: Limit, evaluator: Evaluator, folder: Path) -> Searched:
    """The plan for a package and an ONNX file, within one number or each within its own."""
    asked = Compress(max_size_mb=limit, time_limit_s=60)
    return search_plan(asked, evaluator, TARGETS, READ, folder, workers=Workers(), progress=quiet, rooms=BOTH)


def test_the_files_of_every_target_hold_the_budget(evaluator: Evaluator, tmp_path: Path) -> None:
    """Forms that are small in a package are large in an ONNX file, and a package holds more besides."""
    for limit in range(9_000, 18_000, 1_500):
        found = of_both(limit / 1e6, evaluator, tmp_path)
        held = zip(found.limited, BOTH.values(), strict=False)
        assert all(size + each.besides <= limit for size, each in held)


def test_a_limit_that_changes_alone_is_held_by_a_search_that_remembers_the_last(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    """What is remembered of tensors and plans is the same within any limit; the answer is as without it."""
    wide, narrow = {"coreml": 0.02, "onnx": 0.018}, {"coreml": 0.02, "onnx": 0.0052}
    loose = of_both(wide, evaluator, tmp_path / "kept")
    known = (tmp_path / "kept" / "candidates.jsonl").read_text()
    tight = of_both(narrow, evaluator, tmp_path / "kept")
    assert loose.limited[1] > 5_000 >= tight.limited[1]
    assert (tmp_path / "kept" / "candidates.jsonl").read_text() == known
    assert tight == of_both(narrow, evaluator, tmp_path / "fresh")
    assert loose == of_both(wide, evaluator, tmp_path / "kept")


def test_a_plan_that_misses_is_told_by_the_target_that_is_furthest_beyond_its_own_limit(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    """A package without a limit misses none, though it holds more."""
    said = r"no plan holds max_size_mb = \{ onnx = 0\.0003 \}; .* MB in files of onnx with their graph, and "
    with pytest.raises(BudgetMissed, match=said):
        of_both({"onnx": 0.0003}, evaluator, tmp_path)


def test_a_size_of_codes_alone_is_within_the_smallest_limit_of_the_targets(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    """As with streamed tables. A limit of a target that is not built holds nothing, which is said."""
    found = run(Compress(max_size_mb={"coreml": 0.009, "onnx": 0.001}, time_limit_s=60), evaluator, tmp_path)
    size = next(each.size_bytes for each in found.front if each.chosen)
    assert 1_000 < size <= 9_000
    found = run(Compress(max_size_mb={"onnx": 0.001}, time_limit_s=60), evaluator, tmp_path)
    assert found.plan.tensors == {"aside.weight": found.plan.tensors["aside.weight"]}
    assert any("max_size_mb has no limit for any target that is built" in each for each in found.notes)


def test_two_searches_with_streamed_tables_share_no_folder_of_values(tmp_path: Path) -> None:
    """One that begins or ends takes nothing from another, and clears up after one that was killed."""
    core = SimpleNamespace(tables=("item.weight",))
    (tmp_path / ".values.staging-killed").mkdir()
    with streamed_trials(core, {}, tmp_path) as first:  # type: ignore[arg-type]
        assert first is not None
        (first.folder / "plan").write_text("")
        with streamed_trials(core, {}, tmp_path) as second:  # type: ignore[arg-type]
            assert second is not None
            assert sorted(tmp_path.iterdir()) == sorted([first.folder, second.folder])
        assert (first.folder / "plan").exists()
    assert not [*tmp_path.iterdir()]


def point(size: int, *, chosen: bool = False, bits: int = 8) -> PlanPoint:
    tensors = {"item.weight": {"scheme": "linear", "bits": bits}}
    return PlanPoint(
        size_bytes=size, ratio=size / 1000, distortion=0.0, losses={}, chosen=chosen, tensors=tensors
    )


def test_where_the_chosen_plan_loses_too_much_the_next_larger_one_is_ready(tmp_path: Path) -> None:
    front = [point(900), point(200, bits=4), point(300, chosen=True, bits=4), point(400)]
    (said,) = offered(front, tmp_path)
    assert "safer.toml is the next larger one (40.0% of float32)" in said
    table = tomllib.loads((tmp_path / "safer.toml").read_text())["compress"]["tensors"]
    assert table["item.weight"]["bits"] == 8
    (said,) = offered([point(300, chosen=True)], tmp_path)
    assert said.startswith("No larger plan was measured: give the search more time")
