"""What is known of how a tensor is used: what makes some of its numbers count for more than others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from pocketrec.kept import arrays_sha256, key_of
from pocketrec.quantize.frozen import Frozen
from pocketrec.quantize.tensor import Array

Rounding = Literal["nearest", "feedback", "distilled"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Usage:
    """Statistics of one tensor, on its `[rows, columns]` view.

    Attributes:
        popularity: how often each row is read, float `[rows]`; where it is None, all rows alike.
        moment: how errors in a row's numbers act together on the outputs, float64 `[columns, columns]`,
            positive semidefinite: an error e in a row changes the outputs by e · moment · e, as the
            mean square of the change relative to the outputs' own, and as the mean over rows; None
            where nobody knows.
        frozen: the scales of an earlier release, which rows keep; None where each gets its own.
        headroom: by what share a scale that is fitted reaches further than its numbers need.
    """

    popularity: Array | None = None
    moment: Array | None = None
    frozen: Frozen | None = None
    headroom: float = 0.0

    @property
    def rounding(self) -> Rounding:
        """With error feedback where the moment is known, which it takes."""
        return "nearest" if self.moment is None else "feedback"

    def sha256(self) -> str:
        """The digest of everything in it."""
        facts = asdict(self)
        facts |= {f"frozen {name}": each for name, each in (facts.pop("frozen") or {}).items()}
        arrays = {name: each for name, each in facts.items() if isinstance(each, np.ndarray)}
        words = {name: each for name, each in facts.items() if name not in arrays}
        return key_of(arrays=arrays_sha256(arrays), words=words)

    def of_rows(self, chosen: slice | Array) -> Usage:
        """The usage of some of the rows; frozen scales are of all of them only."""
        popularity = None if self.popularity is None else self.popularity[chosen]
        return Usage(popularity=popularity, moment=self.moment, headroom=self.headroom)


UNKNOWN = Usage()
Usages = Mapping[str, Usage]
