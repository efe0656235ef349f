"""What a package says of an input is read whole: ranges, listed sizes, states, and what is no array."""

from __future__ import annotations

import pytest
from coremltools.proto import FeatureTypes_pb2, Model_pb2

from pocketrec.validate.runtimes.coreml_spec import feature_spec
from pocketrec.validate.runtimes.runtime import TensorSpec


def array(*shape: int, dtype: str = "INT32") -> Model_pb2.FeatureDescription:
    made = Model_pb2.FeatureDescription(name="ids")
    made.type.multiArrayType.shape.extend(shape)
    made.type.multiArrayType.dataType = getattr(FeatureTypes_pb2.ArrayFeatureType, dtype)
    return made


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32"])
def test_a_fixed_array_has_its_sizes_for_bounds(dtype: str) -> None:
    assert feature_spec(array(2, 3, dtype=dtype.upper())) == TensorSpec(
        name="ids", dtype=dtype, shape=(2, 3), bounds=((2, 2), (3, 3))
    )


def test_a_range_is_free_within_its_bounds_and_without_an_end_unbounded() -> None:
    made = array(1, 6)
    for low, high in ((1, -1), (6, 50), (3, 3)):
        made.type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    found = feature_spec(made)
    assert found.bounds == ((1, None), (6, 50), (3, 3))
    assert found.shape == (None, None, 3)


def test_listed_sizes_are_kept_as_listed() -> None:
    made = array(1, 6)
    for shape in ((1, 6), (8, 6)):
        made.type.multiArrayType.enumeratedShapes.shapes.add(shape=shape)
    assert feature_spec(made).enumerated == ((1, 6), (8, 6))


def test_a_state_has_the_array_that_it_wraps() -> None:
    made = Model_pb2.FeatureDescription(name="cache")
    made.type.stateType.arrayType.shape.extend((4, 2))
    made.type.stateType.arrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT16
    found = feature_spec(made)
    assert (found.dtype, found.shape) == ("float16", (4, 2))


def test_an_image_has_a_name_and_no_sizes() -> None:
    made = Model_pb2.FeatureDescription(name="photo")
    made.type.imageType.width = made.type.imageType.height = 8
    made.type.isOptional = True
    found = feature_spec(made)
    assert (found.name, found.shape, found.optional) == ("photo", (), True)
