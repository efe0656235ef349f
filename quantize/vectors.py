"""Product codes of a row chosen together, so that what one vector loses the others make up for.

What counts of a row's error e is e · H · e, with H from `Usage.moment`. With all other vectors as they are,
the best entry for the columns b is the one nearest, in the metric of H[b, b], to

    row[b] - (e[others] · H[others, b]) · H[b, b]⁻¹

So codes begin at the entries nearest to the row in that metric, and are chosen anew in turns, vector by
vector. While codebooks are fitted, entries move between the turns to where what is wanted costs least.

Besag (1986), "On the statistical analysis of dirty pictures", has the turns; van Baalen et al. (2024),
"GPTVQ", arXiv 2402.15319, vectors in that metric, one after the other as in `feedback`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketrec.quantize.feedback import damped_moment
from pocketrec.quantize.schemes.lloyd import centres_of_vectors
from pocketrec.quantize.tensor import Array, Floats
from pocketrec.quantize.tiled import TILE_ROWS, tiled
from pocketrec.quantize.usage import Rounding, Usage

_FITTED, _ENCODED = 6, 3  # turns; more lower the noise by a hundredth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VectorFeedback:
    """What errors of vectors do to the outputs.

    Attributes:
        moment: of the row's numbers, damped, float32 `[columns, columns]`.
        roots: L of each vector's own part of it, L · Lᵀ, float32 `[vectors, width, width]`.
    """

    moment: Floats
    roots: Floats

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.roots.shape[1])

    def start(
        self, rows: Floats, groups: int, count: int, weights: Array | None, *, pin_zero: bool
    ) -> Floats:
        """Codebooks `[groups, count, width]` of the rows' vectors, each for itself, in their metric."""
        parts, own, books = len(self.roots) // groups, self._own, []
        reads = None if weights is None else np.repeat(weights, parts)
        for group in range(groups):
            chosen = slice(group * parts, (group + 1) * parts)
            root = _root(own[chosen].mean(axis=0))
            vectors = rows.reshape(len(rows), len(self.roots), self.width)[:, chosen].reshape(-1, self.width)
            centres = centres_of_vectors(vectors @ root, count, weights=reads, pin_zero=pin_zero)
            books.append(centres @ np.linalg.inv(root))
        return np.stack(books).astype(np.float32)

    def fit(self, rows: Floats, books: Floats, weights: Array | None, *, pin_zero: bool) -> Floats:
        """The codebooks `[groups, count, width]`, moved to where the rows cost least."""
        books, weight = books.copy(), np.ones(len(rows)) if weights is None else weights.astype(np.float64)
        codes, own = self._nearest(rows, books), self._own
        errors = _decoded(codes, books) - rows
        for _ in range(_FITTED):
            for group, places in enumerate(np.split(np.arange(len(self.roots)), len(books))):
                mass = np.zeros((books.shape[1], self.width, self.width))
                pull = np.zeros((books.shape[1], self.width))
                for place in places:
                    wanted = self._choose(rows, codes, errors, books[group], place)
                    counts = np.bincount(codes[:, place], weight, books.shape[1])
                    sums = [np.bincount(codes[:, place], weight * each, books.shape[1]) for each in wanted.T]
                    mass += counts[:, None, None] * own[place]
                    pull += np.stack(sums, axis=1) @ own[place]
                used = mass.trace(axis1=1, axis2=2) > 0
                used[0] &= not pin_zero
                moved = books[group].copy()
                moved[used] = np.linalg.solve(mass[used], pull[used][..., None])[..., 0]
                for place in places:
                    errors[:, self._columns(place)] += (moved - books[group])[codes[:, place]]
                books[group] = moved
        return books

    def encode(self, rows: Floats, books: Floats) -> Array:
        """The codes of the rows, uint8 `[n, vectors]`, each row for itself."""
        codes = self._nearest(rows, books)
        errors = _decoded(codes, books) - rows
        parts = len(self.roots) // len(books)
        for _ in range(_ENCODED):
            for place in range(len(self.roots)):
                self._choose(rows, codes, errors, books[place // parts], place)
        return codes

    @property
    def _own(self) -> Array:
        """Each vector's own part of the moment, `[vectors, width, width]`."""
        own: Array = self.roots.astype(np.float64) @ self.roots.astype(np.float64).transpose(0, 2, 1)
        return own

    def _columns(self, place: int) -> slice:
        return slice(place * self.width, (place + 1) * self.width)

    def _choose(self, rows: Floats, codes: Array, errors: Floats, book: Floats, place: int) -> Floats:
        """Chooses one vector's entries anew, in place; gives what was wanted of them."""
        columns = self._columns(place)
        errors[:, columns] = 0
        share = self.moment[:, columns] @ np.linalg.inv(self.moment[columns, columns])
        pulled = tiled(errors, share.astype(np.float32))
        wanted = rows[:, columns] - pulled
        codes[:, place] = _nearest(wanted, book, self.roots[place])
        errors[:, columns] = book[codes[:, place]] - rows[:, columns]
        return wanted

    def _nearest(self, rows: Floats, books: Floats) -> Array:
        """The entries nearest to the rows' own vectors."""
        parts = len(self.roots) // len(books)
        found = [
            _nearest(rows[:, self._columns(place)], books[place // parts], self.roots[place])
            for place in range(len(self.roots))
        ]
        return np.stack(found, axis=1)


def vector_feedback(name: str, rounding: Rounding, usage: Usage, width: int) -> VectorFeedback | None:
    """The feedback for a tensor's vectors; None where each stands for itself; raises as `damped_moment`."""
    damped = damped_moment(name, rounding, usage)
    if damped is None:
        return None
    own = [damped[at : at + width, at : at + width] for at in range(0, len(damped), width)]
    return VectorFeedback(
        moment=damped.astype(np.float32), roots=np.stack([_root(each) for each in own]).astype(np.float32)
    )


def _root(metric: Array) -> Array:
    root: Array = np.linalg.cholesky(metric)
    return root


def _decoded(codes: Array, books: Floats) -> Floats:
    """What codes stand for, `[n, columns]`."""
    group = np.arange(codes.shape[1]) // (codes.shape[1] // len(books))
    dense: Floats = books[group[None, :], codes].reshape(len(codes), -1)
    return dense


def _nearest(vectors: Floats, book: Floats, root: Floats) -> Array:
    """The nearest entries in the metric of root · rootᵀ, uint8 `[n]`."""
    entries = book @ root
    lengths, turned = np.square(entries).sum(axis=1), np.ascontiguousarray(-2 * entries.T)
    codes = np.empty(len(vectors), np.uint8)
    for start in range(0, len(vectors), TILE_ROWS):
        tile = vectors[start : start + TILE_ROWS]
        distances = tiled(tiled(tile, root), turned) + lengths
        codes[start : start + TILE_ROWS] = distances.argmin(axis=1)
    return codes
