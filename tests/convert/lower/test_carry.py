"""A constant is a compressed tensor by its values alone, and what was not carried is named."""

from __future__ import annotations

import numpy as np
import pytest

from pocketrec.convert.lower.carry import Carrier
from pocketrec.errors import CannotCarry
from pocketrec.quantize.schemes.linear import Linear

TABLE = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
TENSOR = Linear().quantize("table", TABLE)


def test_a_constant_is_found_by_its_values_in_either_layout_and_precision() -> None:
    carrier, values = Carrier({"table": TENSOR}), TENSOR.dequantize()
    for dtype in (np.float32, np.float16):
        direct, turned = carrier(values.astype(dtype)), carrier(values.T.astype(dtype))
        assert direct is not None
        assert turned is not None
        assert (direct.transposed, turned.transposed) == (False, True)
    narrowed = carrier(values.astype(np.float16).astype(np.float32))
    assert narrowed is not None
    assert narrowed.tensor is TENSOR
    assert carrier(TABLE) is None
    assert carrier(values.astype(np.float64)) is None
    assert carrier(values[:, :3]) is None
    assert carrier(None) is None


def test_tensors_of_equal_values_are_carried_together() -> None:
    carrier = Carrier({"a": TENSOR, "b": Linear().quantize("b", TABLE)})
    carrier.done(TENSOR)
    assert carrier.carried == {"a", "b"}


def test_a_tensor_that_was_not_carried_is_named_with_what_was_asked() -> None:
    carrier = Carrier({"table": TENSOR})
    with pytest.raises(CannotCarry, match=r"table: linear 8 bit per_row, scales was asked for, but the ONNX"):
        carrier.check({"table"}, "ONNX")
    carrier.done(TENSOR)
    carrier.check({"table"}, "ONNX")


def test_a_constant_is_found_in_any_order_of_axes_and_any_shape() -> None:
    table = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)
    tensor = Linear().quantize("table", table)
    carrier, values = Carrier({"table": tensor}), tensor.dequantize()
    for constant, axes in (
        (values[None], (0, 1, 2)),
        (values.reshape(6, 4), (0, 1, 2)),
        (values.transpose(2, 0, 1), (2, 0, 1)),
        (values.transpose(1, 0, 2).reshape(1, 3, 8), (1, 0, 2)),
    ):
        found = carrier(constant)
        assert found is not None
        assert (found.axes, found.shape, found.derived) == (axes, constant.shape, True)
        assert np.array_equal(found.tensor.dequantize().transpose(axes).reshape(found.shape), constant)
    assert carrier(values[:, ::-1]) is None
