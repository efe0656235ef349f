"""Product quantization: a row is cut into short vectors, each the nearest of a codebook's.

    value[row, part] = codebook[part][code[row, part]]

Jégou, Douze and Schmid (2011), "Product quantization for nearest neighbor search"; for
recommenders RecJPQ (Petrov and Macdonald, 2024, arXiv 2312.06165), there jointly trained, here
after training, with rows weighted by how often they are read, and the vectors of a row chosen together
where it is known what their errors do (`quantize.vectors`), or cut of its coordinates in a basis where they
are independent (`quantize.basis`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.basis import Basis, principal_basis
from pocketrec.quantize.feedback import damped_moment
from pocketrec.quantize.schemes.base import Encoded, check_least, divisors, float16_numbers, quantize_rows
from pocketrec.quantize.schemes.lloyd import centres_of_vectors, nearest_vector
from pocketrec.quantize.tensor import Array, Floats, ProductTensor, rows_and_columns
from pocketrec.quantize.usage import UNKNOWN, Rounding, Usage
from pocketrec.quantize.vectors import VectorFeedback, vector_feedback

BasisName = Literal["columns", "principal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A codebook of vectors per part of a row.

    Attributes:
        bits: of a code.
        width: numbers in a vector.
        shared: one codebook for all parts; else each part has its own.
        basis: vectors are of neighbouring `columns`, or of `principal` components, in the metric of the
            outputs where codes are rounded with feedback; those need not divide into vectors, and share no
            codebook.
        rounding: each vector to the `nearest` entry, those of a row together with `feedback`, or `distilled`,
            which then tunes codes and codebooks together.
    """

    scheme: ClassVar[str] = "product"
    bits: Literal[4, 6, 8] = 8
    width: int = 4
    shared: bool = False
    basis: BasisName = "columns"
    rounding: Rounding = "nearest"

    def __post_init__(self) -> None:
        check_least("product: width", self.width, 2)
        if self.shared and self.basis == "principal":
            raise PlanError("product: components differ, so no codebook is shared; use shared = false")

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Checks that vectors fill the rows of that shape; else PlanError."""
        columns = rows_and_columns(shape)[1]
        if len(shape) > 2:
            raise PlanError(f"{name}: product needs one or two axes, it has {len(shape)}; use 'palette'")
        if self.basis == "principal":
            if len(shape) < 2:
                raise PlanError(f"{name}: a vector has no principal components; use 'float16' or 'palette'")
            if columns < self.width:
                raise PlanError(
                    f"{name}: rows of {columns} have no {self.width} principal components; "
                    f"use width={columns}"
                )
        elif columns % self.width:
            fitting = [str(each) for each in divisors(columns) if 2 <= each <= 16]
            advice = f"use width={' or '.join(fitting)}" if fitting else "use 'palette'"
            raise PlanError(f"{name}: {columns} columns do not divide into vectors of {self.width}; {advice}")

    def codebook_bytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of the codebooks of a tensor of that shape, float16, and of its basis."""
        columns = rows_and_columns(shape)[1]
        groups = 1 if self.shared else -(-columns // self.width)
        basis = groups * self.width * columns if self.basis == "principal" else 0
        return 2 * (groups * (1 << self.bits) * self.width + basis)

    def fit(self, name: str, sample: Floats, *, usage: Usage = UNKNOWN) -> ProductCodec:
        """The codebooks of a sample of rows."""
        pin_zero = not sample.any(axis=1).all()
        if self.basis == "principal":
            return self._fit_in_basis(name, sample, usage, pin_zero=pin_zero)
        feedback = vector_feedback(name, self.rounding, usage, self.width)
        groups = 1 if self.shared else sample.shape[1] // self.width
        if feedback is None:
            books = self._nearest_books(sample, usage, pin_zero=pin_zero)
        else:
            reads, count = usage.popularity, 1 << self.bits
            books = feedback.start(sample, groups, count, reads, pin_zero=pin_zero)
            books = feedback.fit(sample, books, reads, pin_zero=pin_zero)
        return ProductCodec(
            scheme=self,
            name=name,
            codebooks=float16_numbers(name, books)[None],
            exact=pin_zero,
            feedback=feedback,
        )

    def _fit_in_basis(self, name: str, sample: Floats, usage: Usage, *, pin_zero: bool) -> ProductCodec:
        basis = principal_basis(
            name,
            sample,
            weights=usage.popularity,
            metric=damped_moment(name, self.rounding, usage),
            vectors=-(-sample.shape[1] // self.width),
            width=self.width,
            bits=self.bits,
        )
        books = self._nearest_books(basis.coordinates(sample), usage, pin_zero=pin_zero)
        return ProductCodec(
            scheme=self, name=name, codebooks=float16_numbers(name, books)[None], exact=pin_zero, basis=basis
        )

    def _nearest_books(self, sample: Floats, usage: Usage, *, pin_zero: bool) -> Floats:
        parts = sample.reshape(len(sample), -1, self.width)
        pieces = [parts.reshape(-1, self.width)] if self.shared else list(parts.transpose(1, 0, 2))
        books = []
        for each in pieces:
            reads = usage.popularity
            weights = None if reads is None else np.repeat(reads, len(each) // len(sample))
            books.append(centres_of_vectors(each, 1 << self.bits, weights=weights, pin_zero=pin_zero))
        return np.stack(books)

    def quantize(self, name: str, values: Floats, *, usage: Usage = UNKNOWN) -> ProductTensor:
        """The tensor as codes and codebooks; rows that are read often count for more."""
        return quantize_rows(self, name, values, usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCodec:
    """Encodes rows with fixed codebooks, float16 `[1, parts or 1, 2**bits, width]`.

    `exact` says that entry 0 of every codebook is the zero vector; without `feedback` each vector of a row is
    rounded for itself, of its coordinates where there is a `basis`.
    """

    scheme: Product
    name: str
    codebooks: Array
    exact: bool
    feedback: VectorFeedback | None = None
    basis: Basis | None = None

    def encode(self, rows: Floats) -> Encoded:
        """The numbers of the chosen vectors; a row of zeros needs a vector of zeros."""
        if not self.exact and not rows.any(axis=1).all():
            raise PlanError(
                f"{self.name}: a row of zeros has no exact code, as the sample held none; sample it"
            )
        books = self.codebooks[0].astype(np.float32)
        if self.feedback is not None:
            return Encoded(codes=self.feedback.encode(rows, books))
        if self.basis is not None:
            rows = self.basis.coordinates(rows)
        parts = np.ascontiguousarray(rows.reshape(len(rows), -1, self.scheme.width).transpose(1, 0, 2))
        codes = [nearest_vector(part, books[min(i, len(books) - 1)])[0] for i, part in enumerate(parts)]
        return Encoded(codes=np.stack(codes, axis=1))

    def tensor(self, name: str, shape: tuple[int, ...], encoded: Encoded) -> ProductTensor:
        """The tensor of that name and shape."""
        return ProductTensor(
            name=name,
            shape=shape,
            bits=self.scheme.bits,
            granularity="per_tensor" if self.scheme.shared else "per_group",
            codes=encoded.codes,
            codebooks=self.codebooks,
            basis=None if self.basis is None else self.basis.stored,
        )
