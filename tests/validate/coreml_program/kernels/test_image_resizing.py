"""Image ops against PyTorch and the grids that the ops' documentation prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import image_resizing as k
from pocketrec.validate.coreml_program.kernels.image_sampling import grid

settings.register_profile("kernels", max_examples=40, deadline=None)
settings.load_profile("kernels")


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("UNALIGN_CORNERS", [0.0, 0.1, 0.5, 0.9, 1.0]),
        ("STRICT_ALIGN_CORNERS", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("ALIGN_CORNERS", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("DEFAULT", [0.0, 0.4, 0.8, 1.0, 1.0]),
        ("OFFSET_CORNERS", [0.1, 0.3, 0.5, 0.7, 0.9]),
    ],
)
def test_resize_bilinear_reads_the_documented_grid(mode: str, expected: list[float]) -> None:
    """Two pixels to five: the positions that resize_bilinear's text lists."""
    x = np.array([[[0.0, 1.0]]], dtype=np.float32)
    np.testing.assert_allclose(k.resize_bilinear(x, 1, 5, mode)[0, 0], expected, atol=1e-6)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))
def test_resizing_agrees_with_torch(h: int, w: int, th: int, tw: int) -> None:
    """Bilinear with and without aligned corners, and nearest, are those of F.interpolate."""
    x = normal(2, 1, h, w)
    t, size = torch.tensor(x), (th, tw)
    aligned = F.interpolate(t, size, mode="bilinear", align_corners=True)
    np.testing.assert_allclose(k.resize_bilinear(x, th, tw, "STRICT_ALIGN_CORNERS"), aligned, atol=1e-5)
    plain = F.interpolate(t, size, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(k.resize_bilinear(x, th, tw, "UNALIGN_CORNERS"), plain, atol=1e-5)
    nearest = F.interpolate(t, size, mode="nearest")
    np.testing.assert_array_equal(k.resize_nearest_neighbor(x, th, tw), nearest)


def test_upsampling_rounds_its_sizes_down() -> None:
    """3 · 1.12 pixels are 3, and the factor is recomputed from that, so nothing moves."""
    x = normal(1, 1, 3, 3)
    np.testing.assert_array_equal(k.upsample_nearest_neighbor(x, 1.0, np.float32(1.12)), x)
    np.testing.assert_allclose(k.upsample_bilinear(x, 1, np.float32(1.12)), x, atol=1e-6)


def test_resize_keeps_sizes_given_as_zero() -> None:
    """A 0 in `shape` leaves the axis as it is; only the last `resized_dims` entries count."""
    assert k.resize(normal(1, 2, 3, 4), np.array([9, 0, 8]), 2).shape == (1, 2, 3, 8)


@given(
    st.sampled_from(["bilinear", "nearest"]),
    st.sampled_from([("constant", "zeros"), ("border", "border"), ("reflection", "reflection")]),
    st.booleans(),
)
def test_resample_agrees_with_grid_sample(mode: str, padding: tuple[str, str], align: bool) -> None:
    """Coordinates in [-1, 1] and far outside read what F.grid_sample reads."""
    if not align and padding[0] == "reflection":
        padding = ("symmetric", "reflection")  # PyTorch reflects at the pixel's edge there
    x, where = normal(2, 3, 4, 5), normal(2, 6, 7, 2) * 2
    ours = k.resample(x, where, mode, padding[0], 0.0, "normalized_minus_one_to_one", align)
    theirs = F.grid_sample(
        torch.tensor(x), torch.tensor(where), mode=mode, padding_mode=padding[1], align_corners=align
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_affine_agrees_with_torch() -> None:
    """An affine grid sampled bilinearly with zeros around it."""
    x, matrix = normal(2, 3, 4, 5), normal(2, 6)
    where = F.affine_grid(torch.tensor(matrix.reshape(2, 2, 3)), [2, 3, 6, 7], align_corners=True)
    theirs = F.grid_sample(torch.tensor(x), where, align_corners=True)
    ours = k.affine(x, matrix, 6, 7, "bilinear", "constant", 0.0, "normalized_minus_one_to_one", True)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_crop_resize_takes_boxes_of_both_opsets() -> None:
    """iOS15's roi for all images and iOS17's boxes per image cut the same pixels."""
    x = np.arange(32, dtype=np.float32).reshape(2, 1, 4, 4)
    box = [1.0, 0.0, 2.0, 3.0]
    size: dict[str, Any] = {"target_height": 2, "target_width": 4, "sampling_mode": "ALIGN_CORNERS"}
    every = k.crop_resize(x, roi=np.array(box).reshape(1, 1, 4, 1, 1), **size)
    np.testing.assert_array_equal(every[0], x[:, :, 1:3])
    chosen = k.crop_resize(x, boxes=np.array([box]), box_indices=np.array([1]), **size)
    np.testing.assert_array_equal(chosen, x[1:, :, 1:3])
    with pytest.raises(ExecutionError, match="box index 2 is outside a batch of 2 images"):
        k.crop_resize(x, boxes=np.array([box]), box_indices=np.array([2]), **size)


def test_crop_removes_borders() -> None:
    """Rows and columns go from both sides."""
    x = normal(1, 4, 5)
    np.testing.assert_array_equal(k.crop(x, np.array([1, 0]), np.array([0, 2])), x[:, 1:, :3])


@given(
    st.sampled_from(
        ["STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "UNALIGN_CORNERS", "OFFSET_CORNERS", "DEFAULT"]
    ),
    *[st.integers(1, 5)] * 4,
)
def test_a_crop_of_everything_is_a_resize(mode: str, h: int, w: int, th: int, tw: int) -> None:
    """The box of all pixels, in pixels or normalized, by corners or by centre, wherever it reads inside."""
    x = normal(1, 2, h, w)
    whole = k.resize_bilinear(x, th, tw, mode)
    size: dict[str, Any] = {"target_height": th, "target_width": tw, "sampling_mode": mode}
    ys, xs = (grid(mode, 0, extent - 1, count) for extent, count in ((h, th), (w, tw)))
    inside = ((ys >= 0) & (ys <= h - 1))[:, None] & ((xs >= 0) & (xs <= w - 1))
    boxes = {
        ("CORNERS_HEIGHT_FIRST", False): [0, 0, h - 1, w - 1],
        ("CORNERS_WIDTH_FIRST", False): [0, 0, w - 1, h - 1],
        ("CORNERS_WIDTH_FIRST", True): [0, 0, 1, 1],
        ("CENTER_SIZE_HEIGHT_FIRST", False): [(h - 1) / 2, (w - 1) / 2, h - 1, w - 1],
        ("CENTER_SIZE_WIDTH_FIRST", True): [0.5, 0.5, 1, 1],
    }
    for (order, normalized), box in boxes.items():
        cut = k.crop_resize(
            x,
            boxes=np.array([box], dtype=np.float32),
            box_indices=np.array([0]),
            normalized_coordinates=normalized,
            box_coordinate_mode=order,
            **size,
        )
        np.testing.assert_allclose(cut[0, :, inside], whole[0, :, inside], atol=1e-5)
        assert not cut[0, :, ~inside].any()  # pad_value


@given(*[st.integers(1, 5)] * 4, st.booleans())
def test_resize_agrees_with_resize_bilinear(h: int, w: int, th: int, tw: int, align: bool) -> None:
    """The op of iOS17, on the two last axes and in the modes that both have."""
    x, mode = normal(1, 2, h, w), "STRICT_ALIGN_CORNERS" if align else "UNALIGN_CORNERS"
    ours = k.resize(x, np.array([th, tw]), np.uint32(2), "LINEAR", mode)
    np.testing.assert_allclose(ours, k.resize_bilinear(x, th, tw, mode), atol=1e-6)
