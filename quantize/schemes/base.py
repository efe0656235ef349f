"""What a scheme is: it is fitted on a sample of rows, and then encodes rows, any rows, alike.

    scheme.fit(sample) ──▶ Codec ── encode(rows) ──▶ Encoded ── codec.tensor(...) ──▶ QuantizedTensor

`encode` keeps no state: a table cut into chunks gives the very bytes that it gives whole, so a
table of any length can be streamed through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.tensor import Array, Floats, QuantizedTensor, RowTensor, rows_and_columns
from pocketrec.quantize.usage import UNKNOWN, Usage

CHUNK_ROWS = 1 << 14
SAMPLE_ROWS = 1 << 16
LARGEST_FLOAT16 = 65504.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Rows of codes and what belongs to them; every array's first axis runs over the rows.

    Attributes:
        codes: `[rows, codes of a row]`.
    """

    codes: Array

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays that there are, by name."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: array for name, array in given.items() if array is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledRows(Encoded):
    """Rows of codes with scales of their own.

    Attributes:
        scales: float16 `[rows, blocks]`.
        zero_points: of the codes' dtype, `[rows, blocks]`; None where zero is code 0.
    """

    scales: Array
    zero_points: Array | None = None


E = TypeVar("E", bound=Encoded)
T_co = TypeVar("T_co", bound=RowTensor, covariant=True)


class Codec(Protocol[E, T_co]):
    """A fitted scheme."""

    def encode(self, rows: Floats) -> E:
        """The codes of `rows`, float32 `[n, columns]`, each row for itself alone."""
        ...

    def tensor(self, name: str, shape: tuple[int, ...], encoded: E) -> T_co:
        """The tensor of that name and shape, whose rows have all been encoded."""
        ...


@runtime_checkable
class Scheme(Protocol):
    """A way to compress a tensor; a frozen dataclass whose fields are the keys of the recipe."""

    scheme: ClassVar[str]

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Checks that a tensor of that shape can be compressed so; PlanError names a way out."""
        ...

    def quantize(self, name: str, values: Floats, *, usage: Usage = UNKNOWN) -> QuantizedTensor:
        """The compressed tensor.

        Args:
            name: of the tensor, for messages.
            values: float32, of any rank.
            usage: what is known of how the tensor is used.
        """
        ...


@runtime_checkable
class RowScheme(Scheme, Protocol[T_co]):
    """A scheme whose rows are encoded one by one, so that tables can be streamed through it."""

    def fit(self, name: str, sample: Floats, *, usage: Usage = UNKNOWN) -> Codec[Any, T_co]:
        """The codec for all rows of a tensor, from a sample of them that holds the padding row.

        Args:
            name: of the tensor, for messages.
            sample: float32 `[rows, columns]`.
            usage: of the sample's rows.
        """
        ...


def quantize_rows(scheme: RowScheme[T_co], name: str, values: Floats, usage: Usage) -> T_co:
    """A tensor in memory, through the same two steps that a streamed table takes."""
    scheme.check(name, values.shape)
    rows = values_by_row(scheme, name, values)
    chosen = sample_of(len(rows))
    codec = scheme.fit(name, rows[chosen], usage=usage.of_rows(chosen))
    parts = [codec.encode(rows[start : start + CHUNK_ROWS]) for start in range(0, len(rows), CHUNK_ROWS)]
    return codec.tensor(name, values.shape, join(parts))


def values_by_row(scheme: Scheme, name: str, values: Floats) -> Floats:
    """The values as contiguous float32 `[rows, columns]`; PlanError where one is not finite."""
    rows = np.ascontiguousarray(values, np.float32).reshape(rows_and_columns(values.shape))
    if not np.isfinite(rows).all():
        raise PlanError(
            f"{name}: holds NaN or infinity, which {scheme.scheme!r} cannot encode; leave it out of the plan"
        )
    return rows


def sample_of(rows: int) -> slice:
    """Evenly spaced rows, the first (where padding is) among them; all where there are few."""
    return slice(0, rows, max(1, -(-rows // SAMPLE_ROWS)))


def join(parts: Sequence[E]) -> E:
    """The rows of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    every = [part.arrays for part in parts]
    joined: dict[str, Any] = {name: np.concatenate([each[name] for each in every]) for name in every[0]}
    return replace(parts[0], **joined)


def float16_scales(name: str, scales: Array) -> Array:
    """The scales as float16, each rounded up, so that no code has to reach beyond its range."""
    if scales.size and float(scales.max()) > LARGEST_FLOAT16:
        raise PlanError(
            f"{name}: a scale of {float(scales.max()):.3g} is beyond float16; leave it out of the plan"
        )
    narrow = scales.astype(np.float16)
    # A scale that is one but for float32's own rounding stays: quantizing twice changes nothing.
    low = narrow.astype(np.float32) * np.float32(1 + 1e-6) < scales
    narrow[low] = np.nextafter(narrow[low], np.float16(np.inf))
    return narrow


def float16_numbers(name: str, values: Array) -> Array:
    """The values as float16; PlanError where one is beyond it."""
    if values.size and float(np.abs(values).max()) > LARGEST_FLOAT16:
        raise PlanError(
            f"{name}: {float(np.abs(values).max()):.3g} is beyond float16; leave it out of the plan"
        )
    return values.astype(np.float16)


def check_least(key: str, value: int | None, least: int) -> None:
    """Checks a number of a scheme that no table can have lower, such as a width; PlanError where it is."""
    if value is not None and value < least:
        raise PlanError(f"{key} is {value}; expected {least} or more")


def check_block(name: str, columns: int, block_size: int) -> None:
    """Checks that blocks of that size fill a row; PlanError names the sizes that do."""
    if block_size < 1 or columns % block_size:
        fitting = [str(each) for each in divisors(columns) if 8 <= each < columns]
        advice = f"block_size={' or '.join(fitting[-2:])} or " if fitting else ""
        raise PlanError(
            f"{name}: {columns} columns do not divide into blocks of {block_size}; use {advice}"
            'granularity="per_row"'
        )


def check_group(name: str, count: int, groups: int, what: str) -> None:
    """Checks that `count` rows or columns divide into `groups`; PlanError names what would do."""
    if groups < 1 or count % groups:
        near = sorted(divisors(count), key=lambda each: (abs(each - groups), each))[:3]
        raise PlanError(
            f"{name}: {count} {what} do not divide into {groups} groups; use "
            f"groups={' or '.join(str(each) for each in sorted(near))}"
        )


def divisors(count: int) -> list[int]:
    """All whole numbers that divide `count`, rising."""
    small = [each for each in range(1, int(count**0.5) + 1) if count % each == 0]
    return sorted({*small, *(count // each for each in small)})
