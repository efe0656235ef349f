"""Constants inside the program: the same numbers as coremltools wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.backend.mil.helper import create_tensor_value
from coremltools.converters.mil.mil import types
from coremltools.proto import MIL_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ArtifactError
from pocketrec.validate.coreml_program.program import ProgramReader

RANGES = {
    "int4": (-8, 8),
    "uint1": (0, 2),
    "uint2": (0, 4),
    "uint3": (0, 8),
    "uint4": (0, 16),
    "uint6": (0, 64),
    "int8": (-128, 128),
    "uint8": (0, 256),
    "int16": (-(2**15), 2**15),
    "uint16": (0, 2**16),
    "int32": (-(2**31), 2**31),
    "fp16": (-50, 50),
    "fp32": (-50, 50),
    "bool": (0, 2),
}


def decoded(value: Any) -> Any:
    reader = ProgramReader(MIL_pb2.Program(), Path, Path("test.mlmodel"))
    return reader._constant(value).load()


@given(st.sampled_from(sorted(RANGES)), st.integers(1, 12), st.integers(0, 999))
@settings(max_examples=120, deadline=None)
def test_inline_tensors_read_as_they_were_written(kind: str, count: int, seed: int) -> None:
    """Every dtype and count; packed integers that fill less than one byte as well."""
    wanted = np.random.default_rng(seed).integers(*RANGES[kind], count)
    dtype = types.nptype_from_builtin(types.string_to_builtin(kind))
    found = decoded(create_tensor_value(wanted.astype(dtype)))
    np.testing.assert_array_equal(np.asarray(found, dtype=np.float64), wanted)


def test_a_single_negative_int4_keeps_its_sign() -> None:
    """The offset of a per-tensor int4 weight is one element; -1 is packed as 0x0F and must not be 15."""
    dtype = types.nptype_from_builtin(types.int4)
    assert decoded(create_tensor_value(np.array([-1]).astype(dtype))).tolist() == [-1]


def test_a_tensor_with_too_few_values_is_refused() -> None:
    """Both counts are named."""
    value = create_tensor_value(np.arange(4, dtype=np.int32))
    del value.immediateValue.tensor.ints.values[-1]
    with pytest.raises(ArtifactError, match="has 3 values, its type declares 4"):
        decoded(value)
