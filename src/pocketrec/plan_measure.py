"""What a compression plan costs on real evaluation data, and the file that remembers it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract
from pocketrec.evaluation import ClassificationData, EvaluationData
from pocketrec.recipe import Evaluate

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.quantize.planner import Measured
    from pocketrec.quantize.schemes import Scheme
    from pocketrec.validate.ranking import QualityRun

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(kw_only=True)
class Evaluator:
    """Measures plans of one model on its evaluation data; it can be sent to another process."""

    module: nn.Module
    contract: Contract
    evaluate: Evaluate
    data: EvaluationData
    popularity: Arrays
    _values: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    _original: tuple[QualityRun, npt.NDArray[np.float32] | None] | None = None

    def __call__(self, schemes: Mapping[str, Scheme]) -> Measured:
        """The losses and the distortion of the module with `schemes` applied, against the module itself."""
        from pocketrec.quantize.planner import Measured
        from pocketrec.validate.ranking import top_k_overlap

        before, ranks = self.before()
        after, new_ranks = self._run(self._compressed(schemes))
        losses = {name: value - after.metrics[name] for name, value in before.metrics.items()}
        if before.top_k is not None and after.top_k is not None:
            distortion = 1 - top_k_overlap(before.top_k, after.top_k)
        else:
            assert ranks is not None
            assert new_ranks is not None
            distortion = 1 - float(np.corrcoef(ranks, new_ranks)[0, 1])
        return Measured(losses=losses, distortion=distortion)

    def before(self) -> tuple[QualityRun, npt.NDArray[np.float32] | None]:
        """The quality of the module itself, and for labels the rank of every row's score."""
        if self._original is None:
            self._original = self._run(self.module)
        return self._original

    def _compressed(self, schemes: Mapping[str, Scheme]) -> nn.Module:
        from pocketrec.quantize.reference import compressible, to_array, with_values

        tensors, values = compressible(self.module), {}
        for name, scheme in schemes.items():
            key = f"{name} {scheme}"
            if key not in self._values:
                reads = self.popularity.get(name)
                made = scheme.quantize(name, to_array(tensors[name]), popularity=reads)
                self._values[key] = made.dequantize()
            values[name] = self._values[key]
        return with_values(self.module, values)

    def _run(self, module: nn.Module) -> tuple[QualityRun, npt.NDArray[np.float32] | None]:
        """The quality, and for labels the rank of every row's score."""
        from pocketrec.convert.contract_module import ContractModule
        from pocketrec.validate.ranking import quality_of, scores_of
        from pocketrec.validate.torch_runtime import TorchRuntime

        runtimes = {
            name: TorchRuntime(
                ContractModule(module, self.contract, each), each, function=name, contract=self.contract
            )
            for name, each in self.contract.functions.items()
        }
        quality = quality_of(self.evaluate, self.contract, runtimes, self.data)
        if not isinstance(self.data, ClassificationData):
            return quality, None
        scores = scores_of(self.evaluate, self.contract, runtimes, self.data)
        return quality, np.argsort(np.argsort(scores, kind="stable")).astype(np.float32)


class MeasurementFile:
    """Measurements by content, one JSON line each; a line that was cut off is measured again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self._known[entry["key"]] = entry
                except (ValueError, KeyError, TypeError):
                    continue

    def get(self, key: str) -> Measured | None:
        """The measurement of that key, where it is known."""
        from pocketrec.quantize.planner import Measured

        entry = self._known.get(key)
        if entry is None:
            return None
        return Measured(losses=entry["losses"], distortion=entry["distortion"])

    def put(self, key: str, measured: Measured) -> None:
        """Nothing; the measurement is on disk when this returns."""
        entry = {"key": key, **asdict(measured)}
        self._known[key] = entry
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
