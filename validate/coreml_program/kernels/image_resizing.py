"""Kernels on the spatial axes of images: upsample, resize, crop, crop_resize, affine, resample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels.image_sampling import (
    bilinear_at,
    fold,
    grid,
    interpolate,
    nearest,
    tap,
)

Array = npt.NDArray[Any]


def _scaled(extent: int, factor: Any) -> int:
    """floor(extent · factor), in float32 as shape inference has it."""
    return int(np.floor(np.float32(extent) * np.float32(factor)))


def _resize_linear(x: Array, height: int, width: int, mode: str) -> Array:
    rows = grid(mode, 0.0, x.shape[-2] - 1.0, height)
    columns = grid(mode, 0.0, x.shape[-1] - 1.0, width)
    return interpolate(interpolate(x, rows, x.ndim - 2), columns, x.ndim - 1)


def _resize_nearest(x: Array, height: int, width: int) -> Array:
    rows = np.floor(np.arange(height) * (x.shape[-2] / height))
    columns = np.floor(np.arange(width) * (x.shape[-1] / width))
    return nearest(nearest(x, rows, x.ndim - 2), columns, x.ndim - 1)


def upsample_nearest_neighbor(x: Array, scale_factor_height: Any = 1, scale_factor_width: Any = 1) -> Array:
    """`x` with pixel i of each spatial axis taken from floor(i · in/out), sizes being whole."""
    height, width = _scaled(x.shape[-2], scale_factor_height), _scaled(x.shape[-1], scale_factor_width)
    return _resize_nearest(x, height, width)


def resize_nearest_neighbor(x: Array, target_size_height: Any, target_size_width: Any) -> Array:
    """`x` in the target size, with pixel i of each spatial axis taken from floor(i · in/out)."""
    return _resize_nearest(x, int(target_size_height), int(target_size_width))


def upsample_bilinear(
    x: Array,
    scale_factor_height: Any = 1,
    scale_factor_width: Any = 1,
    align_corners: Any = True,
    half_pixel_centers: Any = None,
) -> Array:
    """`x` enlarged bilinearly by the factors, which are recomputed from the whole output sizes."""
    half = not align_corners if half_pixel_centers is None else bool(half_pixel_centers)
    if align_corners and half:
        raise ExecutionError("align_corners and half_pixel_centers exclude each other")
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if half else "DEFAULT"
    height, width = _scaled(x.shape[-2], scale_factor_height), _scaled(x.shape[-1], scale_factor_width)
    return _resize_linear(x, height, width, mode)


def resize_bilinear(
    x: Array, target_size_height: Any = 1, target_size_width: Any = 1, sampling_mode: str = "DEFAULT"
) -> Array:
    """`x` in the target size, read bilinearly at the grid that `sampling_mode` lays over it."""
    return _resize_linear(x, int(target_size_height), int(target_size_width), str(sampling_mode))


def resize(
    x: Array,
    shape: Array,
    resized_dims: Any,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Array:
    """`x` with its last `resized_dims` axes in the sizes at the end of `shape`; 0 keeps a size.

    NEAREST_NEIGHBOR rounds the grid's positions (halves up): coremltools' own test of 2 to 3 pixels
    gives pixel 1 the second value, while resize_nearest_neighbor would floor 0.67 to the first.
    """
    targets = [int(size) for size in np.asarray(shape).reshape(-1)]
    count = int(resized_dims)
    if interpolation_mode not in ("LINEAR", "NEAREST_NEIGHBOR"):
        raise ExecutionError(f"interpolation_mode {str(interpolation_mode)!r} is not known")
    if count > len(targets) or count > x.ndim:
        raise ExecutionError(f"resized_dims {count} exceeds shape {targets} or rank {x.ndim}")
    for axis, target in zip(range(x.ndim - count, x.ndim), targets[len(targets) - count :], strict=True):
        positions = grid(str(sampling_mode), 0.0, x.shape[axis] - 1.0, target or x.shape[axis])
        if interpolation_mode == "LINEAR":
            x = interpolate(x, positions, axis)
        else:
            x = nearest(x, np.floor(positions + 0.5), axis)
    return x


def crop(x: Array, crop_height: Array, crop_width: Array) -> Array:
    """`x` without the given numbers of rows (top, bottom) and columns (left, right)."""
    (top, bottom), (left, right) = (
        [int(amount) for amount in np.asarray(c).reshape(-1)] for c in (crop_height, crop_width)
    )
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


_BOX_ORDER = {
    "CORNERS_HEIGHT_FIRST": (0, 1, 2, 3),
    "CORNERS_WIDTH_FIRST": (1, 0, 3, 2),
    "CENTER_SIZE_HEIGHT_FIRST": (0, 1, 2, 3),
    "CENTER_SIZE_WIDTH_FIRST": (1, 0, 3, 2),
}


def _corners(boxes: Array, mode: str, scale: Any, normalized: Any, extents: tuple[int, ...]) -> Array:
    """[N, 4] of first row, first column, last row, last column in pixels."""
    if mode not in _BOX_ORDER:
        raise ExecutionError(f"box_coordinate_mode {mode!r} is not known; expected one of {list(_BOX_ORDER)}")
    found = boxes.astype(np.float64)[:, _BOX_ORDER[mode]]
    if mode.startswith("CENTER"):
        centre, half = found[:, :2], found[:, 2:] / 2
        found = np.concatenate([centre - half, centre + half], axis=1)
    found = found * float(scale)
    if normalized:
        found = found * (np.array(extents * 2, dtype=np.float64) - 1.0)
    return found


def _crop_one(images: Array, corners: Array, height: int, width: int, mode: str, pad_value: Any) -> Array:
    """[len(images), C, height, width]: one box cut from each of `images`."""
    ys, xs = np.meshgrid(
        grid(mode, corners[0], corners[2], height), grid(mode, corners[1], corners[3], width), indexing="ij"
    )
    outside = (ys < 0) | (ys > images.shape[-2] - 1) | (xs < 0) | (xs > images.shape[-1] - 1)
    read = [np.where(outside, np.float32(pad_value), bilinear_at(image, ys, xs)) for image in images]
    return np.stack(read)


def crop_resize(
    x: Array,
    roi: Array | None = None,
    boxes: Array | None = None,
    box_indices: Array | None = None,
    target_height: Any = 1,
    target_width: Any = 1,
    normalized_coordinates: Any = False,
    spatial_scale: Any = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: Any = 0.0,
) -> Array:
    """Boxes of `x` [B, C, H, W] resized bilinearly; a position outside the image gives `pad_value`.

    iOS15/16 take `roi` [N, 1, 4 or 5, 1, 1] and give [N, B or 1, C, h, w], with 5 the image index
    first; iOS17 takes `boxes` [N, 4] and `box_indices` [N] and gives [N, C, h, w].
    """
    rows = np.asarray(boxes if roi is None else roi)
    rows = rows.reshape(rows.shape[0], -1)
    per_image = rows.shape[1] == 5
    indices = rows[:, 0].astype(np.int64) if per_image else np.arange(len(rows))
    if box_indices is not None:
        indices = np.asarray(box_indices).astype(np.int64)
    every = roi is not None and not per_image
    if not every and indices.size and not 0 <= indices.min() <= indices.max() < x.shape[0]:
        raise ExecutionError(f"box index {int(indices.max())} is outside a batch of {x.shape[0]} images")
    corners = _corners(
        rows[:, -4:], str(box_coordinate_mode), spatial_scale, normalized_coordinates, x.shape[2:]
    )
    size = (int(target_height), int(target_width), str(sampling_mode), pad_value)
    crops = [
        _crop_one(x if every else x[index : index + 1], box, *size)
        for index, box in zip(indices, corners, strict=True)
    ]
    result = np.stack(crops)
    return result[:, 0] if roi is None else result


def _pixels(coordinates: Array, size: int, mode: str, align_corners: Any) -> Array:
    """Positions in pixels of an axis of `size`, from coordinates in the convention of `mode`."""
    where = coordinates.astype(np.float64)
    if mode == "unnormalized":
        return where
    if mode == "normalized_minus_one_to_one":
        where = (where + 1.0) / 2.0
    elif mode != "normalized_zero_to_one":
        raise ExecutionError(f"coordinates_mode {mode!r} is not known")
    return where * (size - 1.0) if align_corners else where * size - 0.5


def resample(
    x: Array,
    coordinates: Array,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Any,
    coordinates_mode: str,
    align_corners: Any,
) -> Array:
    """[B, C, H2, W2]: `x` [B, C, H1, W1] read at `coordinates` [B, H2, W2, (x, y)].

    `nearest` takes the even one of two equally near pixels.
    """
    if sampling_mode not in ("bilinear", "nearest"):
        raise ExecutionError(
            f"sampling_mode {str(sampling_mode)!r} is not known; expected bilinear or nearest"
        )
    height, width = x.shape[2:]
    xs = _pixels(coordinates[..., 0], width, str(coordinates_mode), align_corners)
    ys = _pixels(coordinates[..., 1], height, str(coordinates_mode), align_corners)
    fill = padding_value if padding_mode == "constant" else None
    if padding_mode != "constant":
        xs, ys = fold(xs, width, str(padding_mode)), fold(ys, height, str(padding_mode))
    if sampling_mode == "nearest":
        return np.stack([tap(*each, fill) for each in zip(x, np.rint(ys), np.rint(xs), strict=True)])
    return np.stack([bilinear_at(*each, fill) for each in zip(x, ys, xs, strict=True)])


def affine(
    x: Array,
    transform_matrix: Array,
    output_height: Any,
    output_width: Any,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Any,
    coordinates_mode: str,
    align_corners: Any,
) -> Array:
    """[B, C, h, w]: `x` read where [a0 a1 a2 b0 b1 b2] sends each output point, both grids in [-1, 1]."""
    if coordinates_mode != "normalized_minus_one_to_one" or not align_corners:
        raise ExecutionError("affine is defined for normalized_minus_one_to_one with align_corners only")
    ys, xs = np.meshgrid(_unit(int(output_height)), _unit(int(output_width)), indexing="ij")
    points = np.stack([xs, ys, np.ones_like(xs)], axis=-1)
    matrices = transform_matrix.reshape(-1, 2, 3).astype(np.float64)
    where = np.einsum("hwk,bck->bhwc", points, np.broadcast_to(matrices, (x.shape[0], 2, 3)))
    return resample(x, where, sampling_mode, padding_mode, padding_value, coordinates_mode, True)


def _unit(count: int) -> Array:
    return np.linspace(-1.0, 1.0, count) if count > 1 else np.zeros(1)


KERNELS: dict[str, Callable[..., Any]] = {
    "affine": affine,
    "crop": crop,
    "crop_resize": crop_resize,
    "resample": resample,
    "resize": resize,
    "resize_bilinear": resize_bilinear,
    "resize_nearest_neighbor": resize_nearest_neighbor,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
