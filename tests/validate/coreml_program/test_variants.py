"""The zoo's packages and their compressed variants agree with PyTorch as far as the arithmetic lets them.

The reference is the captured PyTorch module carrying the variant's own weights, which coremltools'
`decompress_weights` gives: what is left between the two is arithmetic, and that has a bound.

An op that computes rounds its results to the nearest number of its dtype, a relative error of at most
u: 2⁻¹¹ in float16, 2⁻²⁴ in float32. A float32 sum of K products has, the roundings of its terms being
independent, an error of about √K · u₃₂ of the size of its result. None of these networks enlarges a
relative error (normalizations, softmax, sigmoid and residual sums have a gain of about 1), so along a
path of n ops the errors add up to at most n · (u₁₆ + √K · u₃₂) of the largest score, and being
independent to √n times as much as one in the root mean square; without u₁₆ where all is float32. n is
read off the program: the ops on its longest path that compute rather than move.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.source.loaded import load_model
from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter
from pocketrec.validate.coreml_program.package import open_package
from pocketrec.validate.coreml_program.plan import MOVES, plan_function
from pocketrec.validate.measure.probes import make_probes
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import Array

pytestmark = pytest.mark.long

Floats = npt.NDArray[np.float32]
U16, U32 = 2.0**-11, 2.0**-24
LONGEST_SUM = 256  # the widest layer of the three
# One of iOS17 and two of iOS18, whose constexpr ops differ.
MODELS = {
    "sasrec": ("sasrec", "main", "iOS18"),
    "two-tower users": ("two-tower", "user_tower", "iOS17"),
    "dlrm": ("dlrm", "main", "iOS18"),
}


VARIANTS = (
    ("float32", "dense"),
    ("float16", "dense"),
    ("float32", "int8"),
    ("float32", "4-bit palette"),
    ("float32", "sparse"),
)
COMPRESSIONS: dict[str, tuple[Callable[..., Any], Any]] = {
    "int8": (cto.linear_quantize_weights, cto.OpLinearQuantizerConfig(mode="linear_symmetric")),
    "4-bit palette": (cto.palettize_weights, cto.OpPalettizerConfig(mode="uniform", nbits=4)),
    "sparse": (cto.prune_weights, cto.OpMagnitudePrunerConfig(target_sparsity=0.5)),
}


def captured_function(family: str, function: str) -> Capture:
    recipe = load_recipe(FAMILIES[family].recipe)
    model = load_model(recipe, FAMILIES[family].recipe.parent)
    probes = [
        {name: torch.from_numpy(array) for name, array in each.inputs.items()}
        for each in make_probes(model.contract, function, None)
    ]
    return capture(model.lowered, model.contract, function, probes)


def compress(model: Any, compression: str) -> Any:
    """The model compressed, save for constants of one number.

    Those are no weights: the pruner would write zeros over the -inf of a broadcast attention mask.
    """
    function, operation = COMPRESSIONS[compression]
    fills = [name for name, each in weights_of(model).items() if np.ptp(each.val.astype(np.float64)) == 0]
    fills += [name for name, each in weights_of(model).items() if not np.isfinite(each.val).any()]
    config = cto.OptimizationConfig(global_config=operation, op_name_configs=dict.fromkeys(fills))
    return function(model, config)


def carrying(module: nn.Module, model: Any) -> nn.Module:
    """A copy of the module with the model's weights, each in the place of the nearest parameter."""
    twin = copy.deepcopy(module)
    constants = [np.asarray(each.val, dtype=np.float32) for each in weights_of(model).values()]
    for parameter in twin.state_dict().values():
        if parameter.dtype == torch.float32 and parameter.numel() > 1:
            parameter.copy_(torch.from_numpy(nearest(parameter.numpy(), constants)))
    return twin


def weights_of(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = cto.get_weights_metadata(model, weight_threshold=1)
    return found


def nearest(parameter: Floats, constants: Sequence[Floats]) -> Floats:
    """The constant, as it is or transposed, that differs least; the parameter where the function has none."""
    shaped = [
        each
        for constant in constants
        for each in ((constant, constant.T) if constant.ndim == 2 else (constant.reshape(-1),))
        if each.shape == parameter.shape
    ]
    return np.array(min(shaped, key=lambda each: float(np.linalg.norm(each - parameter)), default=parameter))


def depth(path: Path) -> int:
    """How many ops that compute lie on the longest path through the program."""
    package = open_package(path)
    plan = plan_function(package.reader.function(package.default), {})
    lengths: dict[str, int] = {}
    for step in plan.steps:
        sources = [name for _, name in step.references]
        sources += [each for many in step.variadic.values() for each in many if isinstance(each, str)]
        longest = max((lengths.get(name, 0) for name in sources), default=0)
        for name, kind in step.operation.outputs:
            computes = kind.dtype.startswith("float") and step.operation.type not in MOVES
            lengths[name] = longest + computes
    return max(lengths.values())


def outputs(captured: Capture, module: nn.Module, path: Path) -> tuple[Array, Array]:
    """The reference's and the interpreter's float outputs on all probes, end to end."""
    expected: list[Array] = []
    actual: list[Array] = []
    with CoreMLInterpreter(path) as runtime, torch.inference_mode():
        for probe in make_probes(captured.contract, captured.name, None):
            arrays: Mapping[str, Array] = probe.inputs
            names = [each.name for each in captured.signature.inputs]
            given = module(*(torch.from_numpy(arrays[name]) for name in names))
            ours = run_fitted(runtime, captured.contract, captured.signature, arrays)
            for output, value in zip(captured.signature.outputs, given, strict=True):
                expected.append(value.numpy().ravel())
                actual.append(ours[output.name].ravel())
    return np.concatenate(expected), np.concatenate(actual)


def errors(expected: Array, actual: Array) -> tuple[float, float]:
    """The largest error over the largest score, and the error's over the scores' root mean square."""
    left, right = expected.astype(np.float64), actual.astype(np.float64)
    return (
        float(np.abs(left - right).max() / np.abs(left).max()),
        float(np.sqrt(np.square(left - right).mean() / np.square(left).mean())),
    )


def bounds(path: Path, precision: str) -> tuple[float, float]:
    """What the errors may be at most."""
    n = depth(path)
    one = (U16 if precision == "float16" else 0.0) + LONGEST_SUM**0.5 * U32
    return n * one, n**0.5 * one


@pytest.mark.parametrize("name", MODELS)
def test_variants_agree_with_pytorch_as_far_as_the_arithmetic_lets_them(name: str, tmp_path: Path) -> None:
    """float32 within float noise, float16 within its roundings; other weights are far outside."""
    family, function, target = MODELS[name]
    captured = captured_function(family, function)
    dense: dict[str, Any] = {}
    for precision in ("float32", "float16"):
        path = to_coreml(
            captured,
            tmp_path / f"{precision}.mlpackage",
            precision=precision,
            minimum_deployment_target=target,
        )
        dense[precision] = ct.models.MLModel(str(path), skip_model_load=True)
    for precision, compression in VARIANTS:
        model = dense[precision] if compression == "dense" else compress(dense[precision], compression)
        path = tmp_path / f"{compression} {precision}.mlpackage"
        model.save(str(path))
        plain = model if compression == "dense" else cto.decompress_weights(model)
        expected, actual = outputs(captured, carrying(captured.module, plain), path)
        found, allowed = errors(expected, actual), bounds(path, precision)
        assert found[0] <= allowed[0], (precision, compression)
        assert found[1] <= allowed[1], (precision, compression)
        if compression != "dense":
            original, _ = outputs(captured, captured.module, path)
            assert errors(original, actual)[1] > allowed[1], (precision, compression)
