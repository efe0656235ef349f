"""A night of SASRec, in which 2 % of the rows changed, through a real registry: the bytes that come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.package.registry.real import Relay, real_registry
from tests.package.registry.test_real import print_figures, run
from tests.package.registry.tools import NoTool, tool
from tests.package.registry.toys import tree

import pocketrec
from pocketrec.model_zoo.registry import FAMILIES

pytestmark = pytest.mark.ship

TABLE = "item_embedding.weight"
SHARE = 0.02  # of the items
TARGETS = (
    '[targets.onnx]\n\n[targets.coreml]\nprecision = "{precision}"\nminimum_deployment_target = "iOS18"\n\n'
)
STORAGES = {"float32": ("float32", ""), "int8": ("float16", '[compress]\npreset = "int8"\n')}


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    try:
        tool("docker-registry")
    except NoTool as error:
        pytest.skip(f"not run: {error}")


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    (tmp_path / "registry").mkdir()
    with real_registry(tmp_path / "registry") as found:
        yield found


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the zoo's weights, and those of a night on which few items were watched."""
    folder, generator = tmp_path_factory.mktemp("weights"), torch.Generator().manual_seed(2)
    found = load_file(FAMILIES["sasrec"].weights)
    save_file(found, folder / "1.0.0.safetensors")
    items = len(found[TABLE])
    chosen = 1 + torch.randperm(items - 1, generator=generator)[: round(SHARE * items)]
    found[TABLE][chosen] *= 1 + 0.05 * torch.randn(
        chosen.shape[0], found[TABLE].shape[1], generator=generator
    )
    save_file(found, folder / "1.0.1.safetensors")
    return folder


def built(folder: Path, weights: Path, version: str, storage: str) -> Path:
    precision, compress = STORAGES[storage]
    family = FAMILIES["sasrec"]
    text = family.recipe.read_text(encoding="utf-8")
    text = text[: text.index("[targets.onnx]")] + TARGETS.format(precision=precision) + compress
    for old, new in (
        ('version = "1.0.0"', f'version = "{version}"'),
        ("../weights/sasrec.safetensors", str(weights / f"{version}.safetensors")),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / f"{version}.toml").write_text(text, encoding="utf-8")
    pocketrec.build(folder / f"{version}.toml", out=folder / version)
    return folder / version


@pytest.mark.parametrize("storage", list(STORAGES))
def test_who_has_last_nights_release_fetches_a_small_part_of_this_ones(
    storage: str, weights: Path, relay: Relay, tmp_path: Path
) -> None:
    old, new = (built(tmp_path, weights, version, storage) for version in ("1.0.0", "1.0.1"))
    place = f"{relay.host}/models/sasrec"
    made, _ = run(tmp_path, "delta", str(old), str(new), "--out", "night.delta")
    run(tmp_path, "push", str(old), place)
    run(tmp_path, "push", str(new), place, "--delta", "night.delta")
    received: dict[str, int] = {}
    ways = {"whole": (), "delta": ("--from", "1.0.0")}
    for only in ((), ("--only", "coreml")):
        for way, more in ways.items():
            relay.clear()
            name = " ".join((way, *only[1:]))
            done, _ = run(tmp_path, "pull", f"{place}:1.0.1", "--out", f"out {name}", *more, *only)
            received[name] = relay.received
            assert done["by_delta"]["base"] == ("sasrec 1.0.0" if more else "")
    assert tree(tmp_path / "out whole") == tree(tmp_path / "out delta") == tree(new)
    assert tree(tmp_path / "out whole coreml") == tree(tmp_path / "out delta coreml")
    assert received["delta"] < made["size_bytes"] + 20_000  # manifests, and what HTTP adds
    assert received["delta"] < received["whole"] / 4
    changed = {each["path"]: each["stored_bytes"] for each in made["files"]}
    artifacts = sum(size for path, size in changed.items() if path.startswith("artifacts/"))
    print_figures(storage, {"delta": made["size_bytes"], "of artifacts": artifacts, **received})
    print(json.dumps(changed, indent=1))
