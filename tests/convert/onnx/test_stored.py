"""What a tensor takes in an ONNX file is known before the file is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.convert.onnx.test_codes import SCHEMES, label
from torch import nn

from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.onnx.dialect import NATIVE, STANDARD, Dialect, web_dialect
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.convert.onnx.stored import onnx_bytes
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.validate.artifact.sizes import artifact_bytes

NUMBERS = 16 * 16


@pytest.mark.parametrize("scheme", [each for each in SCHEMES if each.scheme != "hot_rows"], ids=label)
@pytest.mark.parametrize("dialect", [STANDARD, web_dialect().standard], ids=["standard", "web"])
def test_a_file_grows_by_what_was_weighed(
    scheme: Scheme,
    dialect: Dialect,
    small: nn.Module,
    capture_small: Callable[[nn.Module], Capture],
    tmp_path: Path,
) -> None:
    """To the names of what is shared in a whole graph; codes and what unpacks them are 300 to 5,500 bytes."""
    module, codes = compress(small, Plan(tensors={"mix.weight": scheme}))
    plain = to_onnx(capture_small(small), tmp_path / "plain.onnx", dialect=dialect)
    path = to_onnx(capture_small(module), tmp_path / "codes.onnx", tensors=codes, dialect=dialect)
    grown = artifact_bytes(path) - artifact_bytes(plain) + 4 * NUMBERS
    weighed = onnx_bytes(codes["mix.weight"], dialect, looked_up=False)
    assert abs(weighed - grown) <= 300, (weighed, grown)


def test_rows_that_are_looked_up_take_more_nodes() -> None:
    tensor = Palette(bits=3).quantize("item.weight", np.eye(60, 16, dtype=np.float32))
    whole, rows = (onnx_bytes(tensor, NATIVE, looked_up=each) for each in (False, True))
    assert tensor.size_bytes < whole < rows
