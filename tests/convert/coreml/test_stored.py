"""What a tensor takes in a package is known before the package is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.convert.coreml.test_constexpr import FROM_IOS18, names
from torch import nn

from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.coreml.stored import coreml_bytes, coreml_plain_bytes
from pocketrec.errors import CannotCarry
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.usage import Usage
from pocketrec.validate.artifact.sizes import artifact_bytes

READS = {"item.weight": Usage(popularity=np.arange(60.0))}


SCHEMES: list[Scheme] = [Float16(), Linear(), *FROM_IOS18]
LAYER: list[tuple[Scheme, str, str]] = [
    (scheme, precision, "mix.weight")
    for precision in ("float16", "float32")
    for scheme in SCHEMES
    if scheme.scheme != "hot_rows"  # a layer has no rows that are read
]
TABLE: list[tuple[Scheme, str, str]] = [(scheme, "float32", "item.weight") for scheme in SCHEMES]


@pytest.mark.parametrize(("scheme", "precision", "name"), [*LAYER, *TABLE], ids=names)
def test_a_package_grows_by_what_was_weighed(
    scheme: Scheme,
    precision: str,
    name: str,
    small: nn.Module,
    capture_small: Callable[[nn.Module], Capture],
    tmp_path: Path,
) -> None:
    """To two alignments of a blob and a name, of 400 to 7,000 bytes."""
    module, codes = compress(small, Plan(tensors={name: scheme}), usage=READS)
    plain = to_coreml(
        capture_small(small),
        tmp_path / "plain.mlpackage",
        precision=precision,
        minimum_deployment_target="iOS18",
    )
    path = to_coreml(
        capture_small(module),
        tmp_path / "codes.mlpackage",
        precision=precision,
        minimum_deployment_target="iOS18",
        tensors=codes,
    )
    tensor = codes[name]
    weighed = coreml_bytes(
        tensor, precision=precision, minimum_deployment_target="iOS18", looked_up=name == "item.weight"
    )
    saved = coreml_plain_bytes(name, tensor.shape, precision=precision) - weighed
    assert abs(artifact_bytes(plain) - artifact_bytes(path) - saved) <= 150


def test_a_float32_program_holds_codebooks_twice_as_wide() -> None:
    tensor = Palette(bits=8).quantize(
        "item.weight", np.random.default_rng(0).normal(size=(60, 16)).astype("f4")
    )
    narrow, wide = (
        coreml_bytes(tensor, precision=each, minimum_deployment_target="iOS18", looked_up=True)
        for each in ("float16", "float32")
    )
    assert wide - narrow == 2 * tensor.codebooks.size


def test_a_form_that_the_deployment_target_has_not_is_refused() -> None:
    tensor = Palette(bits=3).quantize("item.weight", np.eye(60, 16, dtype=np.float32))
    with pytest.raises(CannotCarry, match=r"item\.weight"):
        coreml_bytes(tensor, precision="float32", minimum_deployment_target="iOS16", looked_up=True)
