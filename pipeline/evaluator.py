"""What a compression plan costs on real evaluation data, and the file that remembers it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract
from pocketrec.evaluation import Asked, RankingData
from pocketrec.pipeline.references import torch_runtimes
from pocketrec.source.model import as_it_is

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.quantize.planner import Measured
    from pocketrec.quantize.schemes import Scheme
    from pocketrec.quantize.tensor import QuantizedTensor
    from pocketrec.quantize.usage import Usages
    from pocketrec.source.trials import StreamedTrials
    from pocketrec.validate.measure.ranking import QualityRun

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one evaluation gave.

    Attributes:
        quality: what was reached.
        ranks: of every row's score, for labels only.
        name: of the evaluation; empty where the recipe has but one.
    """

    quality: QualityRun
    ranks: npt.NDArray[np.float32] | None
    name: str = ""

    def key(self, metric: str) -> str:
        """What a loss of the metric is called: of several evaluations, none stands for another."""
        return f"{metric} of {self.name}" if self.name else metric


@dataclass(kw_only=True)
class Evaluator:
    """Measures plans of one model on its evaluation data; it can be sent to another process.

    Attributes:
        module: the original, with stubs where tables are streamed.
        contract: of the module.
        evaluations: what is measured, on which data, the recipe's own first.
        usage: what is known of the tensors.
        trials: of a module with streamed tables; None where all are held.
        behind: makes of the module one that the contract can be put around.
    """

    module: nn.Module
    contract: Contract
    evaluations: tuple[Asked, ...]
    usage: Usages
    trials: StreamedTrials | None = None
    behind: Callable[[nn.Module], nn.Module] = as_it_is
    _made: dict[str, QuantizedTensor] = field(default_factory=dict)
    _original: list[Run] | None = None
    _alike: tuple[int, ...] | None = None

    def __call__(self, schemes: Mapping[str, Scheme]) -> Measured:
        """The losses and the distortion of the module with `schemes` applied, against the module itself."""
        from pocketrec.quantize.planner import Measured
        from pocketrec.validate.measure.compare import error_of_change

        before = self.before()
        with self._compressed(schemes) as module:
            pairs = list(zip(before, self._run(module), strict=True))
        losses, errors = dict[str, float](), dict[str, float]()
        for before_one, after in pairs:
            for metric in before_one.quality.metrics:
                key, loss = before_one.key(metric), _loss(metric, before_one, after)
                if _worse(losses.get(key, -math.inf), loss) == losses.get(key):
                    continue
                losses[key] = _worse(losses.get(key, loss), loss)
                error = error_of_change(metric, before_one.quality, after.quality)
                if error is not None:
                    errors[key] = error
        distortion = reduce(_worse, (_distortion(*pair) for pair in pairs))
        return Measured(losses=losses, distortion=distortion, errors=errors)

    @property
    def functions(self) -> set[str]:
        """The functions whose tensors are measured."""
        named = {(each.evaluate.function, each.evaluate.catalogue_function) for each in self.evaluations}
        return {name for pair in named for name in pair if name is not None}

    def sampled(self, rows: int) -> Evaluator | None:
        """One on about so many rows of each evaluation, spread over all; None where that is not fewer.

        A function whose first axis has one size is asked for all rows at once.
        """
        from pocketrec.validate.measure.sample import spread
        from pocketrec.validate.runtimes.fit import batch_dim

        whole = any(batch_dim(self.contract.functions[name]) is None for name in self.functions)
        if whole or all(len(each.data) < 2 * rows for each in self.evaluations):
            return None
        fewer = tuple(replace(each, data=spread(each.data, rows)) for each in self.evaluations)
        return replace(self, evaluations=fewer, _original=None, _alike=None)

    def before(self) -> list[Run]:
        """What the module itself reaches, the recipe's own evaluation first."""
        if self._original is None:
            self._original = self._run(self.module if self.trials is None else self.trials.original())
        return self._original

    def _compressed(self, schemes: Mapping[str, Scheme]) -> AbstractContextManager[nn.Module]:
        if self.trials is not None:
            return self.trials.compressed(schemes, self.usage)
        return nullcontext(self._held(schemes))

    def _held(self, schemes: Mapping[str, Scheme]) -> nn.Module:
        from pocketrec.quantize.reference import with_values

        made = {name: self.quantized(name, scheme) for name, scheme in schemes.items()}
        return with_values(self.module, {name: each.dequantize() for name, each in made.items()})

    def quantized(self, name: str, scheme: Scheme) -> QuantizedTensor:
        """A tensor that is held in a form, made once."""
        from pocketrec.quantize.reference import compressible, to_array
        from pocketrec.quantize.usage import UNKNOWN

        key = f"{name} {scheme}"
        if key not in self._made:
            values = to_array(compressible(self.module)[name])
            self._made[key] = scheme.quantize(name, values, usage=self.usage.get(name, UNKNOWN))
        return self._made[key]

    def _run(self, module: nn.Module) -> list[Run]:
        from pocketrec.validate.evaluated import first_alike, quality_like
        from pocketrec.validate.measure.quality import quality_of

        runtimes = torch_runtimes(self.behind(module), self.contract)
        if self._alike is None:
            self._alike = first_alike(self.evaluations)
        found: list[Run] = []
        for place, (each, like) in enumerate(zip(self.evaluations, self._alike, strict=True)):
            quality = quality_like(each, self.contract, found[like].quality) if like < place else None
            if quality is None:
                keep = place in self._alike[place + 1 :]
                quality = quality_of(each.evaluate, self.contract, runtimes, each.data, keep=keep)
            ranks = None if quality.scores is None else _ranks(quality.scores)
            found.append(Run(quality=quality, ranks=ranks, name=each.name))
        return found


def _loss(metric: str, before: Run, after: Run) -> float:
    from pocketrec.validate.measure.ranking import lower_is_better

    fall = before.quality.metrics[metric] - after.quality.metrics[metric]
    return -fall if lower_is_better(metric) else fall


def _worse(one: float, other: float) -> float:
    """The larger, and NaN where either is."""
    return float(np.maximum(one, other))


def _ranks(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The rank of every score; equal ones share the mean of theirs."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.cumsum(counts) - (counts - 1) / 2
    ranks: npt.NDArray[np.float32] = means[places].astype(np.float32)
    return ranks


def _distortion(before: Run, after: Run) -> float:
    """1 less the overlap of lists, or for labels the amplitude of what moved ranks, √(1 - ρ²).

    ρ is Spearman's rank correlation, 0 where ranks are turned round or all scores came to be equal. Both grow
    as the amplitude of noise does.
    """
    from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap

    if before.quality.top_k is not None and after.quality.top_k is not None:
        return 1 - float(top_k_overlap(before.quality.top_k, after.quality.top_k).mean())
    assert before.ranks is not None
    assert after.ranks is not None
    if np.array_equal(before.ranks, after.ranks):
        return 0.0
    if np.ptp(before.ranks) == 0 or np.ptp(after.ranks) == 0:
        return 1.0
    correlation = max(0.0, float(np.corrcoef(before.ranks, after.ranks)[0, 1]))
    return math.sqrt(max(0.0, 1 - correlation**2))


def make_evaluator(
    module: nn.Module,
    contract: Contract,
    asked: Sequence[Asked],
    usage: Usages,
    trials: StreamedTrials | None = None,
    *,
    behind: Callable[[nn.Module], nn.Module] = as_it_is,
) -> Evaluator:
    """The evaluator of a module, with every function that the data can rank.

    A tensor that only a function beside the recipe's own reads, such as a frozen catalogue, would
    else look free to ruin.
    """
    return Evaluator(
        module=module,
        contract=contract,
        evaluations=(*asked, *_besides(contract, asked)),
        usage=usage,
        trials=trials,
        behind=behind,
    )


def _besides(contract: Contract, asked: Sequence[Asked]) -> Iterator[Asked]:
    """Functions that no evaluation is of, as rankings of the first data that they can rank."""
    known = {name for each in asked for name in (each.evaluate.function, each.evaluate.catalogue_function)}
    for each in asked:
        sample = each.data.sample()
        for name, signature in contract.functions.items():
            ranked = [one.name for one in signature.outputs if one.meaning in ("top_k_ids", "score")]
            if not isinstance(sample, RankingData) or name in known or not ranked:
                continue
            if all(one.name in sample.inputs for one in signature.inputs):
                known.add(name)
                own = replace(
                    each.evaluate,
                    function=name,
                    output=ranked[0],
                    catalogue_function=None,
                    catalogue_output=None,
                )
                yield replace(each, evaluate=own)
