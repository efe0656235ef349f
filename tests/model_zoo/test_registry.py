"""Training writes whole files or none, from the seed alone, and says what it does not know."""

import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pocketrec.errors import MissingExtra, StorageError, UsageError
from pocketrec.model_zoo.data.sets import DATASETS
from pocketrec.model_zoo.family import Family
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import Schedule, fit
from pocketrec.model_zoo.training.run import Run
from pocketrec.model_zoo.training.train import train
from pocketrec.pipeline.recipes import load_recipe


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A family `tiny` that trains in no time; its module may be made to fail."""
    module = ModuleType("tiny_family")

    def fit_tiny(run: Run) -> nn.Module:
        run.progress(1, 1, float(run.rng.random()))
        return nn.Linear(3, 2)

    module.fit = fit_tiny  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiny_family", module)
    family = Family(
        name="tiny",
        area="ranking",
        roles=("predict",),
        summary="",
        paper="",
        train="tiny_family:fit",
        floors=(),
    )
    monkeypatch.setitem(FAMILIES, "tiny", family)
    return module


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tiny: ModuleType, tmp_path: Path) -> None:
    files = [train("tiny", seed=seed, out=tmp_path / f"{i}.st") for i, seed in enumerate((1, 1, 2))]
    first, again, other = (each.read_bytes() for each in files)
    assert first == again
    assert first != other


def test_progress_goes_to_stderr_or_nowhere(
    tiny: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train("tiny", out=tmp_path / "a.st", progress=True)
    shown = capsys.readouterr()
    first, last = shown.err.splitlines()
    assert first.endswith(" s  train tiny ...")
    assert " s  done  (train tiny took " in last
    assert shown.out == ""
    train("tiny", out=tmp_path / "a.st", progress=False)
    assert capsys.readouterr().err == ""


def test_what_any_room_of_the_zoo_says_is_part_of_the_key_of_what_is_kept(
    tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A family is put together from shared layers: what was kept with others is not gone on with."""
    keys: list[str] = []

    def fit_tiny(run: Run) -> nn.Module:
        keys.append(run.key)
        return nn.Linear(3, 2)

    fit_tiny.__module__ = "tiny_family"
    tiny.fit = fit_tiny  # type: ignore[attr-defined]
    monkeypatch.setattr("pocketrec.model_zoo.training.train._ZOO", tmp_path)
    rooms = [tmp_path / each for each in ("training", "data", "families", "families/parts", "recipes")]
    for room in rooms:
        room.mkdir()
        (room / "layers.py").write_text("WIDTH = 1")
    train("tiny", out=tmp_path / "a.st", progress=False)
    for room in rooms:
        (room / "layers.py").write_text("WIDTH = 2")
        train("tiny", out=tmp_path / "a.st", progress=False)
    assert len(set(keys)) == 5
    assert keys[-1] == keys[-2], "recipes decide no weights"


def test_a_failed_write_leaves_the_old_file(
    tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "weights.st"
    out.write_bytes(b"old")

    def replace(*_: object) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(StorageError, match=r"weights\.st: No space left"):
        train("tiny", out=out)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("weights.st", b"old")]


def test_a_missing_folder_is_said_before_training(tiny: ModuleType, tmp_path: Path) -> None:
    del tiny.fit
    with pytest.raises(UsageError, match=r"nowhere/a\.st: there is no folder"):
        train("tiny", out=tmp_path / "nowhere" / "a.st")


def test_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'nobody'; expected one of two-tower, .*sasrec, .*dlrm"):
        train("nobody")


def test_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def import_module(_: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("importlib.import_module", import_module)
    with pytest.raises(MissingExtra, match=r"torch is not installed.*pocketrec\[build\]"):
        train("sasrec", out=tmp_path / "a.st", progress=False)


@pytest.mark.parametrize("name", FAMILIES)
def test_recipe_and_weights_are_where_the_family_says(name: str) -> None:
    family = FAMILIES[name]
    recipe = load_recipe(family.recipe)
    assert recipe.name == name
    assert recipe.model.weights is not None
    assert (family.recipe.parent / recipe.model.weights).resolve() == family.weights.resolve()
    if family.committed:
        tensors = load_file(family.weights)
        assert all(each.isfinite().all() for each in tensors.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_recipe_says_what_it_is_by_whom_and_under_which_terms(name: str) -> None:
    """MovieLens' terms travel with what was trained on it."""
    about = load_recipe(FAMILIES[name].recipe).about
    assert about.description.endswith(".")
    assert about.author == "pocketrec"
    assert about.license.startswith("Apache-2.0.")
    assert DATASETS[FAMILIES[name].data].title.split(",")[0] in about.license


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
        run=Run(rng=np.random.default_rng(0), progress=lambda epoch, *_: epochs.append(epoch)),
    )
    assert best == 0.5
    assert epochs == [1, 2, 3, 4], "the fifth epoch, better still, is never reached"
    assert torch.equal(net.weight, seen[1])
    assert not torch.equal(seen[1], seen[3])
    assert not net.training


class Killed(Exception):
    """What ends a training from outside."""


def noisy(run: Run, *, until: int = 9) -> tuple[nn.Linear, list[int]]:
    """A module trained with draws of both generators for eight epochs; killed after epoch `until`."""
    torch.manual_seed(3)
    net, epochs = nn.Linear(4, 1), list[int]()

    def losses() -> Iterator[Tensor]:
        for _ in range(3):
            drawn = torch.from_numpy(run.rng.normal(size=(5, 4)).astype(np.float32))
            yield (net(torch.nn.functional.dropout(drawn, 0.5)) - 1).square().mean()

    def measure() -> float:
        if len(epochs) >= until:
            raise Killed
        epochs.append(len(epochs) + 1)
        return -float(net.weight.detach().abs().sum())

    fit(net, losses=losses, measure=measure, schedule=Schedule(epochs=8, patience=8), run=run)
    return net, epochs


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, _ = noisy(Run(rng=np.random.default_rng(5)))
    kept = {"kept": tmp_path / "kept", "key": "k" * 64}
    with pytest.raises(Killed):
        noisy(Run(rng=np.random.default_rng(5), **kept), until=4)  # type: ignore[arg-type]
    resumed, epochs = noisy(Run(rng=np.random.default_rng(77), **kept))  # type: ignore[arg-type]
    assert len(epochs) == 4, "the first four epochs are not done again"
    assert torch.equal(resumed.weight, whole.weight)
    _, epochs = noisy(Run(rng=np.random.default_rng(5), kept=tmp_path / "kept", key="other"))
    assert len(epochs) == 8, "what was kept under another key is not gone on with"


def test_weights_are_written_in_float16_and_what_was_kept_is_gone(tiny: ModuleType, tmp_path: Path) -> None:
    path = train("tiny", out=tmp_path / "a.st", progress=False)
    assert {each.dtype for each in load_file(path).values()} == {torch.float16}
    assert [each.name for each in tmp_path.iterdir()] == ["a.st"]
