"""A size is that of the files: what a plan adds to their graphs counts, once they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.mean import model_of, recipe_of, write_mean

import pocketrec
from pocketrec.errors import BudgetMissed
from pocketrec.pipeline import overhead
from pocketrec.quantize.schemes.palette import Palette

ITEMS, BUDGET = 400, 0.0068
COMPRESS = f"[targets.onnx]\n[compress]\nmax_size_mb = {BUDGET}\ntime_limit_s = 12\n"


def written(folder: Path, compress: str = COMPRESS) -> Path:
    files = {"model": model_of(items=ITEMS, users=400), "recipe": recipe_of(items=ITEMS)}
    return write_mean(folder, compress, items=ITEMS, **files)


def test_a_plan_whose_files_are_beyond_the_budget_is_searched_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if nothing were in the files but tensors, so that the first plan is too large."""
    monkeypatch.setattr(overhead, "check_room", lambda *_: 0)
    sizes: list[int] = []
    known = overhead.written_size

    def kept(*given: Any) -> int:
        sizes.append(known(*given))
        return sizes[-1]

    monkeypatch.setattr(overhead, "written_size", kept)
    result = pocketrec.build(written(tmp_path), out=tmp_path / "bundle")
    assert sizes[0] > BUDGET * 1e6 >= sizes[-1]
    assert sum(each.size_bytes for each in result.evidence.sizes) <= BUDGET * 1e6
    assert any("MB on disk" in each.message and each.status == "passed" for each in result.evidence.gates)


def test_no_form_of_a_tensor_is_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by candidates, measurements, files that are weighed, and what is built."""
    made: list[tuple[str, str]] = []
    quantize = Palette.quantize

    def counted(scheme: Palette, name: str, *given: Any, **known: Any) -> Any:
        made.append((name, str(scheme)))
        return quantize(scheme, name, *given, **known)

    monkeypatch.setattr(Palette, "quantize", counted)
    roomy = COMPRESS.replace(str(BUDGET), "0.025")
    pocketrec.build(written(tmp_path, roomy), out=tmp_path / "bundle")
    assert len(made) > 5
    assert len(set(made)) == len(made)


def test_a_graph_that_is_larger_than_the_budget_is_told_before_anything_is_searched(tmp_path: Path) -> None:
    small = COMPRESS.replace(str(BUDGET), "0.001")
    with pytest.raises(BudgetMissed, match=r"max_size_mb is 0\.001; .* MB of onnx are its graph"):
        pocketrec.build(written(tmp_path, small), out=tmp_path / "bundle")
