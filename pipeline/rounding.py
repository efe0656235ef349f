"""The inputs of dense layers in 8 bits: calibrated on data or on probes, then rounded.

The rounding is part of the compressed reference, so conversion and compression stay two figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pocketrec.errors import PlanError
from pocketrec.evaluation import Asked
from pocketrec.pipeline.references import torch_runtimes
from pocketrec.recipe import Compress
from pocketrec.report import RoundedInput
from pocketrec.source.model import Trials

if TYPE_CHECKING:
    from pocketrec.quantize.activations import InputRange
    from pocketrec.source.compressed import Compression


def round_trials(
    trials: Trials, compression: Compression, compress: Compress, asked: Sequence[Asked]
) -> tuple[Trials, Compression, tuple[RoundedInput, ...]]:
    """The trials with the dense layers' inputs rounded as asked, and what was done.

    Args:
        trials: of the compressed module.
        compression: what was done so far.
        compress: which layers, and how.
        asked: what the ranges are taken from; nothing for the probes.

    Raises:
        PlanError: a layer that was asked for cannot be done, or tables are on disk.
    """
    from pocketrec.quantize.activations import dense_layers, round_inputs

    core = trials.core
    if core.tables:
        raise PlanError(
            f"compress.activations: calibration holds the model, and {core.tables[0].name} is streamed; "
            "raise model.stream_mb to hold it, or leave activations out"
        )
    layers = dense_layers(core.lowered, compression.codes, compress.float_layers)
    ranges = _observed(trials, layers, asked)
    dynamic = compress.activations == "dynamic"
    module = round_inputs(core.lowered, layers, ranges, dynamic=dynamic)
    rows = tuple(
        RoundedInput(
            layer=name,
            mode="dynamic" if dynamic else "static",
            low=ranges[name].low,
            high=ranges[name].high,
            scale=None if dynamic else ranges[name].scale,
            zero_point=None if dynamic else ranges[name].zero_point,
        )
        for name in layers
    )
    rounded = trials.of(replace(core, lowered=module), trials.spans)
    return rounded, replace(compression, module=module), rows


def _observed(trials: Trials, layers: list[str], asked: Sequence[Asked]) -> Mapping[str, InputRange]:
    """The ranges of the layers' inputs over all data, the catalogue included, or over the probes."""
    from pocketrec.quantize.activations import Observer
    from pocketrec.validate.measure.quality import quality_of

    observer = Observer(trials.core.lowered, layers)
    try:
        trial = next(iter(trials))
        runtimes = torch_runtimes(trial.model.module, trial.model.contract)
        for each in asked:
            quality_of(each.evaluate, trial.model.contract, runtimes, each.data)
        for name, probes in trial.probes.items():
            for probe in probes:
                runtimes[name].run(probe.inputs)
    finally:
        observer.close()
    return observer.ranges
