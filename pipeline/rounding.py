"""The inputs of dense layers in 8 bits, within the pipeline: calibrated on data, then rounded.

The rounding is part of the compressed reference, so conversion and compression stay two figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pocketrec.errors import PlanError
from pocketrec.evaluation import EvaluationData
from pocketrec.pipeline.compression import Compression
from pocketrec.pipeline.examine import torch_runtimes
from pocketrec.report import RoundedInput
from pocketrec.source.model import Prepared

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.quantize.activations import InputRange


def round_prepared(
    prepared: Prepared, compression: Compression, data: EvaluationData
) -> tuple[Prepared, Compression, tuple[RoundedInput, ...]]:
    """The compressed model with its dense layers' inputs rounded as the recipe says, and what was done.

    Args:
        prepared: with the compressed module.
        compression: what was done so far.
        data: what the ranges are taken from.

    Raises:
        PlanError: a layer that was asked for cannot be done, or tables are streamed.
    """
    from pocketrec.quantize.activations import dense_layers, round_inputs

    compress = prepared.recipe.compress
    if prepared.streamed is not None:
        raise PlanError(
            f"compress.activations: calibration holds the model, and {prepared.streamed.tables[0].name} is "
            "streamed; raise model.stream_mb to hold it, or leave activations out"
        )
    layers = dense_layers(prepared.module, compression.codes, compress.float_layers)
    ranges = _observed(prepared, layers, data)
    dynamic = compress.activations == "dynamic"
    module: nn.Module = round_inputs(prepared.module, layers, ranges, dynamic=dynamic)
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
    return replace(prepared, module=module), replace(compression, module=module), rows


def _observed(prepared: Prepared, layers: list[str], data: EvaluationData) -> Mapping[str, InputRange]:
    """The ranges of the layers' inputs over all data, the catalogue included."""
    from pocketrec.quantize.activations import Observer
    from pocketrec.validate.measure.quality import quality_of

    observer = Observer(prepared.module, layers)
    try:
        runtimes = torch_runtimes(prepared.module, prepared.contract)
        quality_of(prepared.recipe.evaluate, prepared.contract, runtimes, data)
    finally:
        observer.close()
    return observer.ranges
