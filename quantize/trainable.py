"""The compressed forms as something to train: what their codes stand for, with gradients.

    values = meaning(codes(latent), levels)     the forward pass: exactly what the form will store
    latent   full precision, moved by gradients that pass the rounding straight through
    levels   scales and codebooks, moved by their own gradients

A code is always the nearest of the present levels to the latent number (Bengio, Léonard and Courville, 2013,
for the gradient; van den Oord et al., 2017, "Neural discrete representation learning", for codes that are
vectors). Latent numbers begin as those that were compressed, save where rounding chose another code than the
nearest: there they begin as what that code stands for. Levels are rounded to the numbers that are stored,
float16 or int8, in every forward pass. What is exactly zero, a padding row, stays so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pocketrec.quantize.basis import Basis, basis_of
from pocketrec.quantize.tensor import (
    Array,
    Floats,
    LinearTensor,
    PaletteTensor,
    PartsTensor,
    ProductTensor,
    QuantizedTensor,
    ScaledPaletteTensor,
)

_SMALLEST, _LARGEST = 2.0**-24, 65504.0  # of float16 above zero
_SMALL_COLUMN = 0.001  # of the largest: smaller ones, such as dead columns, count as that


class Trainable(nn.Module, ABC):
    """A form's levels, and the latent numbers `[rows, columns]` whose codes it holds.

    Args:
        values: the tensor before it was compressed, `[rows, columns]`.
    """

    def __init__(self, values: Floats) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.from_numpy(np.array(values, np.float32)))
        self.register_buffer("real", self.latent.detach().ne(0).any(dim=1, keepdim=True))

    def forward(self) -> Tensor:
        """What the codes of the latent numbers stand for, `[rows, columns]`."""
        values = self.meaning()
        straight = values + (self.latent - self.latent.detach())
        return torch.where(self.real, straight, torch.zeros_like(straight))  # type: ignore[arg-type]

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """What is trained, for an optimizer whose steps are as long as `rate` of a middle column's size."""
        found = []
        for name, each in self.named_parameters():
            size = 1.0 if name.endswith("log_scales") else _middle_size(each.detach())
            if each.requires_grad:
                found.append({"params": [each], "lr": rate * max(size, _SMALLEST)})
        return found

    @torch.no_grad()
    def begin(self, form: QuantizedTensor, width: int = 1) -> None:
        """Has the codes be those of the form, pieces of `width` neighbouring columns at a time."""
        chosen = torch.from_numpy(form.dequantize_rows(0, form.rows))
        other = chosen.ne(self.meaning()).reshape(form.rows, -1, width).any(dim=-1)
        self.latent.copy_(torch.where(other.repeat_interleave(width, dim=1), chosen, self.latent))

    @abstractmethod
    def meaning(self) -> Tensor:
        """The values of the codes, with gradients for the levels alone."""

    @abstractmethod
    def stored(self) -> QuantizedTensor:
        """The form with the present codes and levels."""


class TrainableLinear(Trainable):
    """Evenly spaced levels whose steps are trained; zero points stay."""

    def __init__(self, values: Floats, form: LinearTensor) -> None:
        super().__init__(values)
        self._form = form
        self.log_scales = _logarithm(form.scales)
        self.register_buffer("none", torch.from_numpy(form.scales == 0))
        zeros = np.zeros_like(form.scales) if form.zero_points is None else form.zero_points
        self.register_buffer("zeros", torch.from_numpy(zeros.astype(np.float32)))
        self.begin(form)

    def meaning(self) -> Tensor:
        """`(code - zero point) · scale`."""
        return ((self._codes() - self.zeros[..., None]) * self._scales()[..., None]).flatten(1)  # type: ignore[index]

    def stored(self) -> LinearTensor:
        """The form with trained scales."""
        codes = _array(self._codes().flatten(1)).astype(self._form.codes.dtype)
        return replace(self._form, codes=codes, scales=_array(self._scales()).astype(np.float16))

    def _scales(self) -> Tensor:
        return _half(self.log_scales.exp()).masked_fill(self.none, 0.0)  # type: ignore[arg-type]

    def _codes(self) -> Tensor:
        bits = self._form.bits
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        if self._form.zero_points is not None:
            low, high = 0, (1 << bits) - 1
        scales = self._scales().detach()
        blocked = self.latent.detach().reshape(len(self.latent), scales.shape[1], -1)
        steps = blocked / torch.where(scales == 0, torch.ones_like(scales), scales)[..., None]
        return (steps.round() + self.zeros[..., None]).clamp(low, high)  # type: ignore[index]


class TrainablePalette(Trainable):
    """Codebooks whose entries, numbers or vectors, are trained; entries of zero stay."""

    def __init__(self, values: Floats, form: PaletteTensor) -> None:
        super().__init__(values)
        self._form = form
        books = torch.from_numpy(form.codebooks.astype(np.float32))
        self.books = nn.Parameter(books)
        self.register_buffer("moved", books.ne(0).any(dim=-1, keepdim=True))
        self.begin(form, books.shape[-1])

    def meaning(self) -> Tensor:
        """`codebook[code]`."""
        books, codes = self._books(), self._codes()
        row, column = self._groups(codes)
        return books[row[:, None], column[None, :], codes].flatten(1)

    def stored(self) -> PaletteTensor:
        """The form with trained codebooks, whose order of entries stays."""
        codes = _array(self._codes()).astype(np.uint8)
        return replace(self._form, codes=codes, codebooks=_array(self._books()).astype(np.float16))

    def _books(self) -> Tensor:
        return _half(self.books) * self.moved  # type: ignore[operator]

    def _groups(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns = self.books.shape[:2]
        return (
            torch.arange(len(codes)) // max(1, len(codes) // rows),
            torch.arange(codes.shape[1]) // max(1, codes.shape[1] // columns),
        )

    @torch.no_grad()
    def _codes(self) -> Tensor:
        """The nearest entry of every piece; a piece of zeros has the entry that is zero."""
        books = self._books()
        pieces = self.latent.reshape(len(self.latent), -1, books.shape[-1])
        codes = torch.empty(pieces.shape[:2], dtype=torch.long)
        row, column = self._groups(codes)
        for first in range(books.shape[0]):
            for second in range(books.shape[1]):
                inside, beside = row == first, column == second
                chosen = pieces[inside][:, beside]
                book = books[first, second]
                nearest = _nearest(chosen.reshape(-1, book.shape[-1]), book).reshape(chosen.shape[:2])
                codes[inside.nonzero(), beside.nonzero().T] = nearest
        return codes


class TrainableProduct(Trainable):
    """Codes of coordinates in a basis, both of which are trained."""

    def __init__(self, values: Floats, form: ProductTensor, basis: Basis) -> None:
        super().__init__(values)
        self._form = form
        self.latent.requires_grad_(False)  # the coordinates have their own
        self.coordinates = TrainablePalette(basis.coordinates(values), form.coordinates)
        self.basis = nn.Parameter(torch.from_numpy(basis.stored.astype(np.float32)))
        self.register_buffer("used", self.basis.detach().ne(0).any(dim=1, keepdim=True))

    def forward(self) -> Tensor:
        """What the codes of the coordinates stand for, in columns."""
        coordinates: Tensor = self.coordinates()
        return coordinates @ self._basis()

    def meaning(self) -> Tensor:
        """The coordinates times the basis."""
        return self.coordinates.meaning() @ self._basis()

    def stored(self) -> ProductTensor:
        """The form with trained codebooks and a trained basis."""
        inner = self.coordinates.stored()
        basis = _array(self._basis()).astype(np.float16)
        return replace(self._form, codes=inner.codes, codebooks=inner.codebooks, basis=basis)

    def _basis(self) -> Tensor:
        return _half(self.basis) * self.used  # type: ignore[operator]


class TrainableScaledPalette(Trainable):
    """One codebook of whole numbers and scales, all trained."""

    def __init__(self, values: Floats, form: ScaledPaletteTensor) -> None:
        super().__init__(values)
        self._form = form
        self.book = nn.Parameter(torch.from_numpy(form.codebooks.reshape(-1).astype(np.float32)))
        self.log_scales = _logarithm(form.scales)
        self.register_buffer("none", torch.from_numpy(form.scales == 0))
        self.begin(form)

    def meaning(self) -> Tensor:
        """`codebook[code] · scale`."""
        return (self._book()[self._codes()] * self._scales()[..., None]).flatten(1)

    def stored(self) -> ScaledPaletteTensor:
        """The form with a trained codebook and trained scales."""
        return replace(
            self._form,
            codes=_array(self._codes().flatten(1)).astype(np.uint8),
            scales=_array(self._scales()).astype(np.float16),
            codebooks=_array(self._book()).astype(np.int8).reshape(self._form.codebooks.shape),
        )

    def _book(self) -> Tensor:
        whole = self.book.round().clamp(-127, 127)
        return self.book + (whole - self.book).detach()

    def _scales(self) -> Tensor:
        return _half(self.log_scales.exp()).masked_fill(self.none, 0.0)  # type: ignore[arg-type]

    @torch.no_grad()
    def _codes(self) -> Tensor:
        scales = self._scales()
        blocked = self.latent.reshape(len(self.latent), scales.shape[1], -1)
        steps = blocked / torch.where(scales == 0, torch.ones_like(scales), scales)[..., None]
        return _nearest(steps.reshape(-1, 1), self._book()[:, None]).reshape(steps.shape)


class TrainableParts(Trainable):
    """A table whose rows are of several forms; each part is trained as what it is."""

    def __init__(self, values: Floats, form: PartsTensor) -> None:
        super().__init__(values)
        self._form = form
        self.latent.requires_grad_(False)  # each part has its own
        ends = np.cumsum([0, *(each.rows for each in form.parts)])
        placed = np.empty_like(values)
        order = form.order  # counted from the mask, so not in every forward pass
        self._order = torch.from_numpy(order.astype(np.int64))
        placed[order] = values
        pairs = zip(form.parts, ends[:-1], ends[1:], strict=True)
        self.parts = nn.ModuleList(trainable(each, placed[low:high]) for each, low, high in pairs)

    def forward(self) -> Tensor:
        """What the codes of all parts stand for, each row from its part."""
        return self.meaning()

    def meaning(self) -> Tensor:
        """The rows of the parts, in the table's order."""
        joined = torch.cat([each() for each in self.parts])
        return joined[self._order]

    def stored(self) -> PartsTensor:
        """The form with trained parts."""
        parts: Any = tuple(each.stored() for each in self.parts)  # type: ignore[operator]
        return replace(self._form, parts=parts)


def trainable(form: QuantizedTensor, values: Floats) -> Trainable:
    """The form as something to train, from the values that it was made of, of any shape.

    Raises:
        TypeError: the form has no levels that could be moved.
    """
    rows = np.asarray(values, np.float32).reshape(form.rows, form.columns)
    match form:
        case LinearTensor():
            return TrainableLinear(rows, form)
        case ProductTensor(basis=stored) if stored is not None:
            return TrainableProduct(rows, form, basis_of(form.name, stored))
        case PaletteTensor():  # and products, whose entries are vectors
            return TrainablePalette(rows, form)
        case ScaledPaletteTensor():
            return TrainableScaledPalette(rows, form)
        case PartsTensor():
            return TrainableParts(rows, form)
        case _:
            raise TypeError(f"{form.name}: {form.scheme!r} has no levels to train")


def _middle_size(values: Tensor) -> float:
    """The geometric mean of the columns' root mean squares, of values `[..., rows, columns]`.

    Coordinates are of very different sizes, and what they are rounded by is not.
    """
    rows = values if values.ndim > 1 else values[:, None]
    sizes = rows.square().mean(dim=-2).sqrt()
    largest = float(sizes.max())
    return float(sizes.clamp(min=_SMALL_COLUMN * largest).log().mean().exp()) if largest else 0.0


def _logarithm(scales: Array) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(scales.astype(np.float32)).clamp(min=_SMALLEST).log())


def _half(values: Tensor) -> Tensor:
    """The nearest float16 numbers that are finite, as float32, with the gradients of the values."""
    return values + (values.clamp(-_LARGEST, _LARGEST).half().float() - values).detach()


def _nearest(pieces: Tensor, book: Tensor) -> Tensor:
    """The place of the entry `[entries, width]` that is nearest to each of `pieces` `[n, width]`."""
    if book.shape[1] == 1:
        rising, places = book[:, 0].sort(stable=True)
        return places[torch.bucketize(pieces[:, 0].contiguous(), (rising[1:] + rising[:-1]) / 2, right=True)]
    found = []
    for part in torch.split(pieces, 1 << 13):
        found.append((book.square().sum(1) - 2 * part @ book.T).argmin(dim=1))
    return torch.cat(found)


def _array(values: Tensor) -> Array:
    found: Array = values.detach().numpy()
    return found
