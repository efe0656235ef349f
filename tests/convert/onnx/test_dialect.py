"""A file for the web holds what every provider reads, and what none does is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from torch import nn

from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.onnx.dialect import NATIVE, Dialect, web_dialect
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import Refused
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.web_operators import web_operators

CaptureSmall = Callable[[nn.Module], Capture]


def lacking(op: str, states: tuple[str, ...] | None) -> Dialect:
    """The web without an operator: of these statuses, or not in the table."""
    table = web_operators()
    operators = {name: each for name, each in table.operators.items() if name != op}
    if states is not None:
        operators[op] = {name: dict.fromkeys(dtypes, states) for name, dtypes in table.operators[op].items()}
    return replace(web_dialect(), operators=replace(table, operators=operators))


def test_ops_of_onnx_runtimes_own_are_written_where_the_table_has_them_for_all() -> None:
    assert web_dialect().contrib == {"MatMulNBits"}
    assert not web_dialect().blocks
    assert NATIVE.blocks


def test_the_codes_and_scales_of_tables_lie_beside_a_small_graph(
    small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    module, codes = compress(small, Plan(tensors={"*.weight": Linear(bits=8)}))
    dialect = replace(web_dialect(), table_bytes=256)
    path = to_onnx(capture_small(module), tmp_path / "m.onnx", tensors=codes, dialect=dialect)
    held = onnx.load(path, load_external_data=False).graph.initializer
    outside = {each.name: {e.key: e.value for e in each.external_data} for each in held if each.external_data}
    assert outside
    assert all(int(each["offset"]) % 64 == 0 for each in outside.values())
    assert {each["location"] for each in outside.values()} == {"m.onnx.data"}
    assert all(len(each.raw_data) < 256 for each in held)
    assert onnx.TensorProto.FLOAT16 not in {each.data_type for each in held}


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (("ok", "none", "none"), "no kernel for Tanh of float32 in ort.webgpu.min.mjs on wasm and "),
        (("ok", "ok", "wrong"), "gives wrong numbers for Tanh of float32 in ort.webgpu.min.mjs on webgpu"),
        (None, "Tanh is not in the table of operators of onnxruntime-web"),
    ],
)
def test_an_operator_that_a_provider_lacks_is_refused_by_name_and_line(
    small: nn.Module,
    capture_small: CaptureSmall,
    tmp_path: Path,
    states: tuple[str, ...] | None,
    message: str,
) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(Refused, match=message) as raised:
        to_onnx(capture_small(small), path, dialect=lacking("Tanh", states))
    assert raised.value.op == "Tanh"
    assert ".py:" in raised.value.where
    assert raised.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_operator_that_a_session_leaves_to_the_cpu_is_written(
    small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    to_onnx(capture_small(small), tmp_path / "m.onnx", dialect=lacking("Tanh", ("ok", "ok", "cpu")))


def test_a_native_file_is_held_to_no_table(
    small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    assert NATIVE.operators is None
    assert to_onnx(capture_small(small), tmp_path / "m.onnx").exists()
