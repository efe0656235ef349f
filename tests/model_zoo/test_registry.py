"""Training writes whole files or none, from the seed alone, and says what it does not know."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pocketrec.errors import DataError, MissingExtra, UsageError
from pocketrec.model_zoo import registry
from pocketrec.model_zoo.registry import FAMILIES, Family
from pocketrec.model_zoo.training import Schedule, fit
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.recipe.contract import resolve_contract

Told = Callable[[int, int, float], None]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A family `tiny` that trains in no time; its module may be made to fail."""
    module = ModuleType("tiny_family")

    def fit_tiny(rng: np.random.Generator, progress: Told) -> nn.Module:
        progress(1, 1, float(rng.random()))
        return nn.Linear(3, 2)

    module.fit = fit_tiny  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiny_family", module)
    family = Family(name="tiny", summary="", recipe=Path(), weights=Path(), train="tiny_family:fit")
    monkeypatch.setitem(FAMILIES, "tiny", family)
    return module


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tiny: ModuleType, tmp_path: Path) -> None:
    files = [registry.train("tiny", seed=seed, out=tmp_path / f"{i}.st") for i, seed in enumerate((1, 1, 2))]
    first, again, other = (each.read_bytes() for each in files)
    assert first == again
    assert first != other


def test_progress_goes_to_stderr_or_nowhere(
    tiny: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.train("tiny", out=tmp_path / "a.st", progress=True)
    shown = capsys.readouterr()
    assert "train tiny" in shown.err
    assert shown.out == ""
    registry.train("tiny", out=tmp_path / "a.st", progress=False)
    assert capsys.readouterr().err == ""


def test_a_failed_write_leaves_the_old_file(
    tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "weights.st"
    out.write_bytes(b"old")

    def replace(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="disk full"):
        registry.train("tiny", out=out)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("weights.st", b"old")]


def test_a_missing_folder_is_said_before_training(tiny: ModuleType, tmp_path: Path) -> None:
    del tiny.fit
    with pytest.raises(DataError, match=r"nowhere/a\.st: its folder is missing"):
        registry.train("tiny", out=tmp_path / "nowhere" / "a.st")


def test_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'bert4rec'; expected one of sasrec, two-tower, dlrm"):
        registry.train("bert4rec")


def test_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def import_module(_: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("importlib.import_module", import_module)
    with pytest.raises(MissingExtra, match=r"torch is not installed.*pocketrec\[build\]"):
        registry.train("sasrec", out=tmp_path / "a.st", progress=False)


@pytest.mark.parametrize("name", ["sasrec", "two-tower", "dlrm"])
def test_recipe_and_weights_are_where_the_family_says(name: str) -> None:
    from pocketrec.model_zoo.movielens import VOCABULARIES

    family = FAMILIES[name]
    recipe = load_recipe(family.recipe)
    assert recipe.name == name
    assert recipe.model.weights is not None
    assert (family.recipe.parent / recipe.model.weights).resolve() == family.weights.resolve()
    assert recipe.contract is not None
    vocabularies = {each: {"tokens": VOCABULARIES[each]()} for each in recipe.contract.vocabularies}
    contract = resolve_contract(recipe.contract, vocabularies)
    for each in contract.vocabularies:
        assert recipe.model.arguments[f"num_{each}s"] == contract.vocabularies[each].size - 1
    tensors = load_file(family.weights)
    assert all(each.isfinite().all() for each in tensors.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_recipe_says_what_it_is_by_whom_and_under_which_terms(name: str) -> None:
    """MovieLens' terms travel with what was trained on it."""
    about = load_recipe(FAMILIES[name].recipe).about
    assert about.description.endswith(".")
    assert about.author == "pocketrec"
    assert about.license.startswith("Apache-2.0.")
    assert "MovieLens-100K" in about.license


def test_fit_returns_to_the_best_epoch_and_stops_after_its_patience() -> None:
    net, metrics, epochs = nn.Linear(1, 1, bias=False), iter([0.1, 0.5, 0.4, 0.3, 0.9]), []
    seen: list[Tensor] = []

    def losses() -> Iterator[Tensor]:
        yield net(torch.ones(1, 1)).sum()

    def measure() -> float:
        seen.append(net.weight.detach().clone())
        return next(metrics)

    best = fit(
        net,
        losses=losses,
        measure=measure,
        schedule=Schedule(epochs=5, patience=2),
        progress=lambda epoch, *_: epochs.append(epoch),
    )
    assert best == 0.5
    assert epochs == [1, 2, 3, 4], "the fifth epoch, better still, is never reached"
    assert torch.equal(net.weight, seen[1])
    assert not torch.equal(seen[1], seen[3])
    assert not net.training
