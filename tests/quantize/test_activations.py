"""Inputs of dense layers in 8 bits: the arithmetic, the ranges, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.errors import PlanError
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.activations import InputRange, Observer, dense_layers, round_inputs
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.linear import Linear

ops: Any = torch.ops.pocketrec


class Tower(nn.Module):
    """Two layers, the first of which is called twice, and one whose weight is read past it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down = nn.Linear(6, 8), nn.Linear(8, 6, bias=False)
        self.raw = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(torch.relu(self.up(self.down(torch.relu(self.up(x))))))
        return y @ self.raw.weight


def made(**schemes: Scheme) -> tuple[nn.Module, Any]:
    chosen = {"up": Linear(), "down": Linear(), "raw": Linear(), **schemes}
    plan = Plan(tensors={f"{name}.weight": each for name, each in chosen.items()})
    return compress(Tower().eval().requires_grad_(False), plan)


def seen(module: nn.Module, layers: list[str], data: Tensor, size: int) -> dict[str, InputRange]:
    observer = Observer(module, layers)
    for part in (data[start : start + size] for start in range(0, len(data), size)):
        module(part)
    observer.close()
    return observer.ranges


def test_a_range_includes_zero_and_its_scale_is_a_float16_number() -> None:
    assert InputRange(low=2.0, high=5.1).zero_point == 0
    assert InputRange(low=-5.1, high=-2.0).zero_point == 255
    assert InputRange(low=2.0, high=5.1).scale == float(np.float16(0.02))
    assert InputRange(low=0.0, high=0.0).scale == 2.0**-14


def test_static_rounding_takes_halves_to_even_and_clips() -> None:
    x = torch.tensor([-9.0, -0.25, 0.25, 0.75, 1.25, 500.0])
    assert ops.round_static(x, 0.5, 3).tolist() == [-1.5, 0.0, 0.0, 1.0, 1.0, 126.0]


@pytest.mark.parametrize("shift", [0.0, 5.0, -5.0])
def test_dynamic_rounding_is_onnx_runtimes(shift: float) -> None:
    import onnx
    import onnxruntime

    make, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    nodes = [
        onnx.helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        onnx.helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [make("x", kinds.FLOAT, [64])], [make("y", kinds.FLOAT, [64])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = torch.randn(64, generator=torch.Generator().manual_seed(0)) + shift
    np.testing.assert_allclose(ops.round_dynamic(x), session.run(None, {"x": x.numpy()})[0], atol=1e-6)


def test_zeros_stay_zeros() -> None:
    assert ops.round_dynamic(torch.zeros(3)).tolist() == [0, 0, 0]


def test_ranges_do_not_depend_on_how_the_data_are_cut() -> None:
    module, codes = made()
    layers = dense_layers(module, codes, ["raw"])
    data = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    one, other = (seen(module, layers, data, size) for size in (40, 3))
    assert [(each.scale, each.zero_point) for each in one.values()] == [
        (each.scale, each.zero_point) for each in other.values()
    ]


def test_an_observed_module_is_left_as_it_was() -> None:
    module, codes = made()
    seen(module, dense_layers(module, codes, ["raw"]), torch.ones(2, 6), 2)
    assert not any(each._forward_pre_hooks for each in module.modules())


def test_a_rounding_module_shares_weights_and_can_be_copied_and_sent() -> None:
    module, codes = made()
    layers = dense_layers(module, codes, ["raw"])
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    rounding = round_inputs(module, layers, seen(module, layers, x, 5), dynamic=False)
    assert rounding.get_parameter("up.weight") is module.get_parameter("up.weight")
    assert not torch.equal(rounding(x), module(x))
    for other in (copy.deepcopy(rounding), pickle.loads(pickle.dumps(rounding))):
        assert torch.equal(other(x), rounding(x))


def test_a_layer_that_is_never_called_is_an_error() -> None:
    module, codes = made()
    layers = dense_layers(module, codes)
    ranges = seen(module, layers, torch.ones(2, 6), 2)
    for dynamic in (True, False):
        with pytest.raises(PlanError, match=r"layer raw was never called .* compress\.float_layers"):
            round_inputs(module, layers, ranges, dynamic=dynamic)


def test_a_range_that_no_scale_holds_is_an_error() -> None:
    module, _ = made()
    with pytest.raises(PlanError, match=r"layer up has inputs from 0 to inf"):
        round_inputs(module, ["up"], {"up": InputRange(low=0.0, high=float("inf"))}, dynamic=False)


@pytest.mark.parametrize(
    "scheme", [Linear(bits=4), Linear(symmetric=False), Linear(granularity="per_block", block_size=3)]
)
def test_a_weight_of_other_codes_is_an_error_that_names_the_layer(scheme: Scheme) -> None:
    module, codes = made(up=scheme)
    with pytest.raises(PlanError, match=r"up\.weight of layer up is linear .*expected linear 8 bit"):
        dense_layers(module, codes)


def test_a_weight_that_is_not_compressed_is_an_error() -> None:
    module, codes = made()
    del codes["down.weight"]
    with pytest.raises(PlanError, match=r"down\.weight of layer down is float32"):
        dense_layers(module, codes)


def test_a_pattern_that_fits_no_layer_and_one_that_leaves_none_are_errors() -> None:
    module, codes = made()
    with pytest.raises(PlanError, match=r"'head\.\*' fits no dense layer; there are up, down, raw"):
        dense_layers(module, codes, ["head.*"])
    with pytest.raises(PlanError, match="no dense layer is left"):
        dense_layers(module, codes, ["*"])
