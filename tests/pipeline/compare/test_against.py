"""A build against its baseline: what changed is evidence, and what cannot be compared has no number."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import onnx
import pytest

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.evaluation import RankingData
from pocketrec.package.bundle import Bundle, read_bundle, seal
from pocketrec.pipeline.compare.against import baseline_at, with_versus
from pocketrec.pipeline.compare.moved import Judge
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.sources import load_source
from pocketrec.progress import silent
from pocketrec.recipe import Latency, Recipe, Versus
from pocketrec.report import Evidence, GateResult, Machine
from pocketrec.validate.measure.digest import data_sha256

FIXTURE = Path(__file__).parents[2] / "fixtures" / "first"
FIRST = FIXTURE / "mean"
STATED = {"data": "model.py:data", "kind": "ranking", "output": "scores"}
STRICT = Versus(max_ndcg_drop=0.05, min_top_k_overlap=0.9, max_churn=0.1, max_latency_ratio=10.0)


@pytest.fixture(scope="module")
def judge() -> Judge:
    read = load_recipe(FIXTURE / "recipe.toml")
    loaded = load_source(read, FIXTURE)
    return Judge(asked=loaded.asked, data_sha256={"": data_sha256(loaded.asked[0].data)})


def sealed(place: Path, version: str, **altered: dict[str, Any]) -> Bundle:
    """The first release under another version, its tables altered by the name of their file."""
    copytree(FIRST, place)
    for name, more in altered.items():
        file = place / ("evidence/evidence.json" if name == "evidence" else f"{name}.json")
        table = json.loads(file.read_text())
        file.write_text(json.dumps({**table, **more}))
    seal(place, name="mean", version=version, artifacts=read_bundle(FIRST).manifest.artifacts)
    return read_bundle(place)


def evidence() -> Evidence:
    machine = Machine(system="x", processor="x", cores=1, memory_gb=1.0, python="3.11")
    passed = GateResult(gate="ran", target="onnx", runtime="onnxruntime", status="passed", message="")
    return Evidence(
        recipe="mean",
        recipe_sha256="",
        contract_sha256="",
        machine=machine,
        versions={},
        results=(),
        sizes=(),
        rewrites=(),
        gates=(passed,),
    )


def against(baseline: Bundle | None, new: Bundle, judge: Judge, versus: Versus | None = STRICT) -> Evidence:
    recipe: Recipe = load_recipe(FIXTURE / "recipe.toml")
    recipe = replace(
        recipe,
        gates=replace(recipe.gates, versus=versus),
        version=new.manifest.version,
        latency=Latency(warmup=1, runs=20),
    )
    return with_versus(evidence(), recipe, baseline, new.path, judge, silent)


def statuses(found: Evidence) -> dict[str, tuple[str, str]]:
    return {each.gate: (each.status, each.message) for each in found.gates if "versus" in each.gate}


def test_the_same_model_passes_and_what_was_found_is_evidence(tmp_path: Path, judge: Judge) -> None:
    found = against(sealed(tmp_path / "a", "1.0.0"), sealed(tmp_path / "b", "1.0.1"), judge)
    assert found.passed, statuses(found)
    assert found.versus is not None
    assert found.versus.ranking.kept == (0,) * 10 + (24,)
    assert found.versus.new.path == ""
    told = json.loads(found.to_json())["versus"]
    assert (told["level"], told["old"]["version"], told["new"]["version"]) == ("same", "1.0.0", "1.0.1")
    assert [each["reason"] for each in told["latency"] if each["target"] == "onnx"] == [""]


def test_without_a_table_only_the_version_is_gated(tmp_path: Path, judge: Judge) -> None:
    found = against(sealed(tmp_path / "a", "1.0.0"), sealed(tmp_path / "b", "1.0.0"), judge, None)
    assert list(statuses(found)) == ["versus.due_version"]


@pytest.mark.parametrize(
    ("altered", "told"),
    [
        (
            {
                "recipe": {
                    "evaluate": {"data": "model.py:data", "kind": "ranking", "output": "scores", "k": 5}
                }
            },
            "k",
        ),
        (
            {"recipe": {"evaluate": {**STATED, "data": "other.py:data"}}},
            "evaluate.data: 'other.py:data' → 'model.py:data'",
        ),
        ({"evidence": {"data_sha256": "0" * 64}}, "was evaluated on other data"),
        ({"recipe": {"evaluate": "nothing"}}, "evaluate."),
    ],
)
def test_another_protocol_is_not_comparable_and_has_no_number(
    tmp_path: Path, judge: Judge, altered: dict[str, Any], told: str
) -> None:
    found = against(sealed(tmp_path / "a", "1.0.0", **altered), sealed(tmp_path / "b", "1.0.1"), judge)
    assert found.versus is not None
    assert found.versus.ranking.quality is None
    gates = statuses(found)
    for gate in ("max_ndcg_drop", "min_top_k_overlap", "max_churn"):
        status, message = gates[f"versus.{gate}"]
        assert status == "failed"
        assert message.startswith("not comparable: mean 1.0.0 was evaluated")
        assert told in message
    assert not found.passed


def test_more_metrics_and_an_older_recipe_compare(tmp_path: Path, judge: Judge) -> None:
    more = {**STATED, "k": [10], "metrics": ["mrr"]}
    old = sealed(tmp_path / "a", "1.0.0", recipe={"evaluate": more})
    assert against(old, sealed(tmp_path / "b", "1.0.1"), judge).passed


def test_other_rows_have_another_digest_and_other_widths_have_not(judge: Judge) -> None:
    data = judge.asked[0].data
    assert isinstance(data, RankingData)
    wide = replace(data, inputs={"history": data.inputs["history"].astype("int64")})
    assert data_sha256(wide) == data_sha256(data)
    history = data.inputs["history"].copy()
    history[-1, -1] += 1
    assert data_sha256(replace(data, inputs={"history": history})) != data_sha256(data)
    assert data_sha256(replace(data, positives=data.positives[::-1].copy())) != data_sha256(data)


def test_a_baseline_that_does_not_run_ends_no_build(tmp_path: Path, judge: Judge) -> None:
    place = sealed(tmp_path / "a", "1.0.0").path
    path = place / "artifacts" / "onnx" / "main.onnx"
    model = onnx.load(path)
    (carried,) = [each for each in model.metadata_props if each.key == "pocketrec.contract_sha256"]
    carried.value = "0" * 64
    onnx.save(model, path)
    seal(place, name="mean", version="1.0.0", artifacts=read_bundle(FIRST).manifest.artifacts)
    found = against(baseline_at(place), sealed(tmp_path / "b", "1.0.1"), judge)
    gates = statuses(found)
    assert gates["versus.max_ndcg_drop"][0] == "failed"
    assert gates["versus.max_ndcg_drop"][1].startswith(f"not comparable: {place}: ")
    assert "carries the digest of another contract" in gates["versus.max_ndcg_drop"][1]


def test_a_baseline_that_is_none_is_told_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        baseline_at(tmp_path / "nowhere")
    damaged = sealed(tmp_path / "a", "1.0.0")
    (damaged.path / "vocabularies" / "item.txt").write_text("one\n")
    with pytest.raises(ArtifactError, match=r"item\.txt: altered"):
        baseline_at(damaged.path)
    unread = sealed(tmp_path / "c", "1.0.0")
    (unread.path / "artifacts" / "onnx" / "main.onnx").write_bytes(b"no model")
    seal(unread.path, name="mean", version="1.0.0", artifacts=unread.manifest.artifacts)
    with pytest.raises(ArtifactError, match="not an ONNX file"):
        baseline_at(unread.path)
    listed = sealed(tmp_path / "b", "1.0.0")
    (listed.path / "evidence" / "evidence.json").write_text("[]")
    seal(listed.path, name="mean", version="1.0.0", artifacts=listed.manifest.artifacts)
    with pytest.raises(ArtifactError, match="is no table"):
        baseline_at(listed.path)
