"""A family is green where every gate of every bundle passed, its floors hold, and something was compared."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.zoo import rows
from tests.zoo.page import MARKS, lines_of, total, write
from tests.zoo.rows import Built, Row, row_of

from pocketrec.errors import RecipeError
from pocketrec.model_zoo.family import Family, Reference
from pocketrec.model_zoo.registry import FAMILIES

FAMILY = Family(
    name="sasrec",
    area="sequence",
    roles=("recommend",),
    summary="",
    paper="Somebody, 2020",
    train="",
    floors=(("ndcg@10", 0.1),),
    references=(Reference(metric="ndcg@10", value=0.12, source="its paper"),),
)


def evidence(ndcg: float = 0.11, status: str = "passed") -> dict[str, Any]:
    return {
        "gates": [
            {"gate": "parity", "target": "onnx", "runtime": "r", "status": status, "message": "far off"}
        ],
        "results": [
            {"target": "reference", "runtime": "torch", "status": "ran", "ranking": None},
            {
                "target": "onnx",
                "runtime": "onnxruntime",
                "status": "ran",
                "parity": [{"sqnr_db": "inf"}],
                "rows": [{"sqnr_db": 61.5}],
                "latency": {"main": {"p50_ms": 0.3}},
                "ranking": {"reference": {"ndcg@10": ndcg}, "artifact": {"ndcg@10": ndcg - 0.01}},
            },
            {"target": "web", "runtime": "web-wasm", "status": "not_run", "reason": "no browser"},
        ],
        "sizes": [{"target": "onnx", "size_bytes": 1000}, {"target": "onnx", "size_bytes": 500}],
    }


def seen(found: dict[str, Any], monkeypatch: pytest.MonkeyPatch, family: Family = FAMILY) -> Row:
    monkeypatch.setattr(rows, "absent", lambda _: "")
    monkeypatch.setattr(rows, "bundle_of", lambda *_: Path())
    monkeypatch.setattr(rows, "evidence_in", lambda _: found)
    return row_of(family, Path())


def test_a_family_whose_gates_passed_is_green_with_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    row = seen(evidence(), monkeypatch)
    assert (row.status, row.why, row.metrics) == ("green", "", {"ndcg@10": 0.11})
    built = row.built[0]
    assert built.sizes == {"onnx": 1500}
    assert built.parity == {"onnx onnxruntime": 61.5}
    assert built.not_run == {"web web-wasm": "no browser"}
    page = "\n".join(lines_of([row], {"ml-100k": {"Pop": {"ndcg@10": 0.05, "auc": 0.5}}}))
    assert "| ndcg@10 0.1100 |" in page
    assert "| sasrec | float | onnx | 2 | onnxruntime 62 | onnxruntime 0.3 |" in page
    assert "Pop ndcg@10 0.0500" in page
    assert "does not beat" not in page


def test_each_head_has_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    found = evidence()
    head = {"name": "liked", "reference": {"auc": 0.8}, "artifact": {"auc": 0.8}}
    found["results"][1] |= {"further": [head]}
    assert seen(found, monkeypatch).metrics == {"ndcg@10": 0.11, "auc": 0.8, "auc of liked": 0.8}


def of_items() -> dict[str, float]:
    return {"ndcg@10": 0.05}


def test_a_family_evaluated_by_the_step_is_judged_by_what_an_app_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = seen(evidence(ndcg=0.9), monkeypatch, replace(FAMILY, measured_by=f"{__name__}:of_items"))
    assert (row.status, row.metrics) == ("red", {"ndcg@10": 0.05})


def test_a_model_that_does_not_beat_a_baseline_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    row = seen(evidence(ndcg=0.11), monkeypatch)
    beside = {"Pop": {"ndcg@10": 0.1}, "Markov": {"ndcg@10": 0.12, "hr@10": 0.9}}
    page = "\n".join(lines_of([row], {"ml-100k": beside}))
    assert "| green; does not beat Markov by ndcg@10 |" in page, "by what its floor is on"


def test_what_a_head_has_too_is_shown_once_and_as_the_heads() -> None:
    metrics = {"ndcg@10": 0.34, "auc of film": 0.78, "auc": 0.78, "ndcg@10 of page": 0.34, "ece": 0.02}
    row = Row(family="sasrec", status="green", metrics=metrics)
    page = "\n".join(lines_of([row], {}))
    assert "| ndcg@10 of page 0.3400; auc of film 0.7800; ece 0.0200 |" in page


def test_equal_numbers_are_said_to_be_exact() -> None:
    built = Built(
        preset="float",
        sizes={"onnx": 1500},
        parity={"onnx onnxruntime": math.inf, "onnx web-wasm": 61.5},
        p50_ms={},
        not_run={},
        metrics={},
    )
    page = "\n".join(lines_of([Row(family="sasrec", status="green", built=(built,))], {}))
    assert "| onnxruntime exact, web-wasm 62 |" in page


def test_a_family_of_an_own_protocol_stands_beside_baselines_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    row = seen(evidence(ndcg=0.11), monkeypatch)
    own = Reference(metric="ndcg@10", value=0.1, source="the order given")
    monkeypatch.setitem(FAMILIES, "sasrec", replace(FAMILIES["sasrec"], beside=(own,)))
    page = "\n".join(lines_of([row], {"ml-100k": {"Markov": {"ndcg@10": 0.12}}}))
    (line,) = (each for each in page.splitlines() if each.startswith("| sequence | sasrec |"))
    assert line.endswith("| the order given ndcg@10 0.1000 | green |")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (evidence(status="failed"), "float: parity onnx: far off"),
        (evidence(status="skipped"), "float: no gate passed"),
        (evidence(ndcg=0.09), "ndcg@10 is 0.09, and its floor is 0.1"),
    ],
    ids=["a gate failed", "nothing was compared", "below its floor"],
)
def test_a_family_is_red_by_name(found: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = seen(found, monkeypatch)
    assert row.status == "red"
    assert why in row.why


def test_a_family_without_its_data_is_not_run_and_never_green(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "absent", lambda _: "no such folder; set POCKETREC_DATA")
    row = row_of(FAMILY, Path())
    assert (row.status, row.why) == ("not run", "no such folder; set POCKETREC_DATA")
    assert "not run: no such folder" in "\n".join(lines_of([row], {}))
    assert total([row]) == "1 families: 0 green, 0 red, 1 not run"


def test_a_build_that_cannot_begin_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Path:
        raise RecipeError("model.weights: is no file")

    monkeypatch.setattr(rows, "absent", lambda _: "")
    monkeypatch.setattr(rows, "bundle_of", refuse)
    assert row_of(FAMILY, Path()) == Row(family="sasrec", status="red", why="model.weights: is no file")


def test_the_page_keeps_what_stands_around_its_tables(tmp_path: Path) -> None:
    page = tmp_path / "zoo.md"
    page.write_text(f"before\n{MARKS[0]}old\n{MARKS[1]}after\n", encoding="utf-8")
    write(page, ["new", ""])
    assert page.read_text(encoding="utf-8") == f"before\n{MARKS[0]}new\n{MARKS[1]}after\n"
