"""Converters and runtimes that a user registers as a target of their own, honest and not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tests import two_heads
from tests.saboteurs.graphs import Edit, Site, edited
from tests.saboteurs.kit import Outcome, built
from tests.saboteurs.world import MODEL, write

from pocketrec.contract import Contract
from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.targets import TARGETS, Row
from pocketrec.recipe import Compress, Target
from pocketrec.schema import from_table
from pocketrec.validate.open import Options
from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime
from pocketrec.validate.runtimes.runtime import Array, Description, Runtime, RuntimeUnavailable

HERE = "tests.saboteurs.converters"
SLOW_MS = 25
Write = Callable[[Path], None]


def converted(edit: Edit, *, lines: str = "", model: str = MODEL) -> Callable[[Path], Outcome]:
    """A build whose converter changes what was lowered honestly."""

    def act(folder: Path) -> Outcome:
        row = replace(TARGETS["onnx"], ways=_ways(folder, edit))
        return built(write(folder, model=model, lines=f"[targets.mine]\n{lines}"), {"mine": row})

    return act


def of_heads(edit: Edit, *, lines: str = "") -> Callable[[Path], Outcome]:
    """The same of a model of two heads, each with an evaluation of its own."""

    def act(folder: Path) -> Outcome:
        row = replace(TARGETS["onnx"], ways=_ways(folder, edit))
        return built(two_heads.write(folder, lines, target="mine"), {"mine": row})

    return act


def half(edit: Edit) -> Callable[[Path], Outcome]:
    """The same, on an engine that rounds to float16, of a model whose age says little."""

    def act(folder: Path) -> Outcome:
        row = replace(_row("half_engine"), ways=_ways(folder, edit), resolve=_in_half)
        model = MODEL.replace("AGE = 1.0", "AGE = 0.0055")
        recipe = write(folder, model=model, lines="[targets.mine]\n[gates]\nmax_ndcg_drop = 0.05\n")
        return built(recipe, {"mine": row})

    return act


def run_by(engine: str, *, lines: str = "") -> Callable[[Path], Outcome]:
    """A build on an engine of this module; its artifacts say where they were made."""

    def act(folder: Path) -> Outcome:
        row = replace(_row(engine), ways=_ways(folder, _with_folder))
        return built(write(folder, lines=f"[targets.mine]\n{lines}"), {"mine": row})

    return act


def _in_half(name: str, target: Target, compress: Compress) -> Target:
    return replace(target, precision="float16", minimum_deployment_target="iOS17")


def _row(engine: str) -> Row:
    suffix = f".{engine}"
    return replace(TARGETS["onnx"], suffix=suffix, runtimes={_NAMES.get(engine, engine): f"{HERE}:{engine}"})


_NAMES = {"absent": "coreml-interpreter"}  # what `gates.may_skip` can name


def _ways(folder: Path, edit: Edit) -> Callable[..., Mapping[str, Write]]:
    def ways(capture: Capture, target: Target, codes: Any, tables: Any) -> Mapping[str, Write]:
        from pocketrec.convert.onnx.lower import to_onnx

        def write_it(path: Path) -> None:
            made = to_onnx(capture, path.with_suffix(".onnx"), tensors=codes, tables=tables)
            edited(made, edit, Site(folder=folder, contract=capture.contract))
            if made != path:
                made.rename(path)

        return {"": write_it}

    return ways


def _with_folder(model: Any, site: Site | None) -> None:
    """Leaves where the recipe is in the artifact, as a converter of any kind could."""
    assert site is not None
    entry = model.metadata_props.add()
    entry.key, entry.value = "made_in", str(site.folder)
    entry = model.metadata_props.add()
    entry.key, entry.value = "contract", json.dumps(site.contract.to_dict())


class Named(OnnxRuntime):
    """ONNX Runtime under another name."""

    engine = "honest"

    def describe(self) -> Description:
        return replace(super().describe(), runtime=self.engine)


def honest(path: Path, options: Options) -> Runtime:
    return Named(path, threads=options.threads)


class Half(Named):
    engine = "half_engine"

    def describe(self) -> Description:
        return replace(super().describe(), precision="float16")

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {
            name: each.astype(np.float16).astype(each.dtype) for name, each in super().run(inputs).items()
        }


def half_engine(path: Path, options: Options) -> Runtime:
    return Half(path, threads=options.threads)


class Asking(Named):
    """Has the user's module compute every answer: a comparison of it with itself."""

    engine = "asking"

    def __init__(self, path: Path, *, threads: int) -> None:
        super().__init__(path, threads=threads)
        space: dict[str, Any] = {}
        exec((Path(self.describe().metadata["made_in"]) / "model.py").read_text(), space)
        self._module = space["Model"]().eval()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import torch

        ids = np.asarray(inputs["history"], np.int32)
        history = torch.from_numpy(np.where((ids < 0) | (ids >= 41), 0, ids))
        with torch.no_grad():
            given = self._module(history, torch.from_numpy(inputs["age"]))
        return {name: each.numpy() for name, each in zip(("scores", "watch"), given, strict=True)}


def asking(path: Path, options: Options) -> Runtime:
    return Asking(path, threads=options.threads)


class Stored(Named):
    """Knows the answers of probes and evaluation data by heart, and gives the nearest for anything else."""

    engine = "stored"

    def __init__(self, path: Path, *, threads: int) -> None:
        super().__init__(path, threads=threads)
        said = self.describe().metadata
        contract = from_table(Contract, json.loads(said["contract"]), source="contract")
        self._known = Site(folder=Path(said["made_in"]), contract=contract).known_rows

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        distance = (inputs["history"][:, None] != self._known[None]).sum(axis=2)
        nearest = self._known[distance.argmin(axis=1)]
        return super().run({**inputs, "history": nearest})


def stored(path: Path, options: Options) -> Runtime:
    return Stored(path, threads=options.threads)


class Cached(Named):
    """Answers the arrays that it saw last as it did then."""

    engine = "cached"

    def __init__(self, path: Path, *, threads: int) -> None:
        super().__init__(path, threads=threads)
        self._seen: Any = None
        self._given: dict[str, Array] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if inputs.get("history") is not self._seen:
            self._seen, self._given = inputs.get("history"), super().run(inputs)
        return self._given


def cached(path: Path, options: Options) -> Runtime:
    return Cached(path, threads=options.threads)


class Remembering(Named):
    """So slow that it keeps every answer for whoever asks the same again."""

    engine = "remembering"

    def __init__(self, path: Path, *, threads: int) -> None:
        super().__init__(path, threads=threads)
        self._given: dict[bytes, dict[str, Array]] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        key = b"".join(inputs[name].tobytes() for name in sorted(inputs))
        if key not in self._given:
            time.sleep(SLOW_MS / 1e3)
            self._given[key] = super().run(inputs)
        return {name: each.copy() for name, each in self._given[key].items()}


def remembering(path: Path, options: Options) -> Runtime:
    return Remembering(path, threads=options.threads)


class Shared(Named):
    """Hands out one buffer to every caller."""

    engine = "shared"

    def __init__(self, path: Path, *, threads: int) -> None:
        super().__init__(path, threads=threads)
        self._buffers: dict[Any, Array] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        found = {}
        for name, each in super().run(inputs).items():
            found[name] = self._buffers.setdefault((name, each.shape), np.empty_like(each))
            found[name][...] = each
        return found


def shared(path: Path, options: Options) -> Runtime:
    return Shared(path, threads=options.threads)


class ByShape(Named):
    """Answers every batch of a size as the first of that size."""

    engine = "by_shape"

    def __init__(self, path: Path, *, threads: int) -> None:
        super().__init__(path, threads=threads)
        self._given: dict[Any, dict[str, Array]] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        rows = len(inputs["history"])
        if rows not in self._given:
            self._given[rows] = super().run(inputs)
        return self._given[rows]


def by_shape(path: Path, options: Options) -> Runtime:
    return ByShape(path, threads=options.threads)


class ByName(Named):
    engine = "by_name"


_compiled: dict[str, Path] = {}  # by the name of a file, as a careless cache of compiled models has it


def by_name(path: Path, options: Options) -> Runtime:
    kept = _compiled.get(path.name)
    if kept is None or not kept.exists():
        kept = _compiled[path.name] = path
    return ByName(kept, threads=options.threads)


def absent(path: Path, options: Options) -> Runtime:
    raise RuntimeUnavailable("this engine is on no machine")
