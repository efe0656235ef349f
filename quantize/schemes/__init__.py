"""The schemes by their names in a recipe; a file each, with its equation and its source."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pocketrec.errors import PlanError
from pocketrec.quantize.schemes.base import Codec, Encoded, RowScheme, Scheme
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.schemes.sparse import Sparse
from pocketrec.schema import from_table

__all__ = ["SCHEMES", "Codec", "Encoded", "RowScheme", "Scheme", "scheme_from_table", "scheme_to_table"]

SCHEMES: dict[str, Any] = {
    each.scheme: each for each in (Linear, Palette, ScaledPalette, Product, HotRows, Sparse, Float16)
}


def scheme_from_table(table: Mapping[str, Any], *, source: str, key: str) -> Scheme:
    """The scheme that a table of a recipe describes; `scheme` names it, the rest are its fields.

    Raises:
        RecipeError: with file, key, what came and what was expected.
    """
    name = table.get("scheme")
    if not isinstance(name, str) or name not in SCHEMES:
        near = difflib.get_close_matches(str(name), SCHEMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "expected one of " + ", ".join(SCHEMES)
        raise PlanError(f"{source}: {key}.scheme is {name!r}; {hint}")
    rest = {each: value for each, value in table.items() if each != "scheme"}
    scheme: Scheme = from_table(SCHEMES[name], rest, source=source, key=key)
    return scheme


def scheme_to_table(scheme: Scheme) -> dict[str, Any]:
    """The table that gives the scheme back, every default spelled out but what is None."""
    given: Any = scheme
    fields = {name: value for name, value in asdict(given).items() if value is not None}
    return {"scheme": scheme.scheme, **fields}
