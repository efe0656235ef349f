"""A family's bundles are kept while the engine and what its recipe reaches of the zoo stay, and no longer."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.kept import ROOT
from tests.zoo import bundles
from tests.zoo.bundles import PRESETS, bundle_of, key_of, reached

from pocketrec.model_zoo.registry import FAMILIES


def test_a_recipe_reaches_its_model_its_data_and_what_both_import() -> None:
    found = {each.relative_to(ROOT / "model_zoo").as_posix() for each in reached(FAMILIES["sasrec"].recipe)}
    assert {"families/sasrec.py", "families/parts/attention.py", "data/movielens.py", "data/sets.py"} <= found
    assert not {"families/dlrm.py", "data/open_bandit.py"} & found


def test_a_bundle_is_known_by_engine_preset_recipe_and_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family = FAMILIES["sasrec"]
    keys = {key_of(family, preset) for preset in PRESETS}
    assert len(keys) == len(PRESETS)
    assert key_of(family, "float") in keys
    others = {key_of(FAMILIES[name], "float") for name in ("dlrm", "gru4rec")}
    monkeypatch.setattr(bundles, "source_sha256", lambda **_: "another engine")
    others.add(key_of(family, "float"))
    assert not keys & others
    assert len(others) == 3
    assert key_of(replace(family, name="dlrm"), "float") == key_of(FAMILIES["dlrm"], "float")


def test_a_bundle_that_no_browser_ran_is_built_again_and_two_runs_build_it_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reason, built = ["no browser"], list[Path]()

    def build(recipe: Any, *, out: Path) -> Any:
        with (tmp_path / f"{out.name}.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        built.append(out)
        (out / "evidence").mkdir(parents=True)
        web = {"target": "web", "status": "not_run" if reason[0] else "ran", "reason": reason[0]}
        (out / "evidence" / "evidence.json").write_text(json.dumps({"results": [web]}))
        return SimpleNamespace(passed=True, path=out)

    monkeypatch.setattr(bundles, "build", build)
    for count in (1, 2):
        bundle_of(FAMILIES["sasrec"], "float", tmp_path)
        assert len(built) == count
    reason[0] = ""
    for _ in range(2):
        bundle_of(FAMILIES["sasrec"], "float", tmp_path)
        assert len(built) == 3
