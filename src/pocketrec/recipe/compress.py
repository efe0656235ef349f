"""The table `compress`: how tensors are compressed, and what that may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pocketrec.errors import RecipeError
from pocketrec.recipe.gates import Limit, limit_of
from pocketrec.schema import Range, check_ranges

COST_RANGES: Mapping[str, Range] = {"max_ndcg_drop": Range(0, 1), "max_auc_drop": Range(0, 1)}
COMPRESS_RANGES: Mapping[str, Range] = {
    "max_size_mb": Range(0, 1e6, above=True),
    "max_ratio": Range(0, 1, above=True),
    "max_ndcg_drop": Range(0, 1),
    "max_auc_drop": Range(0, 1),
    "min_top_k_overlap": Range(0, 1),
    "time_limit_s": Range(0, 1e7, above=True),
    "scale_headroom": Range(0, 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What compression may cost one of several evaluations alone; at least one limit is given.

    Attributes:
        max_ndcg_drop: largest loss of NDCG@k.
        max_auc_drop: largest loss of AUC.
    """

    max_ndcg_drop: float | None = None
    max_auc_drop: float | None = None

    def __post_init__(self) -> None:
        if self.max_ndcg_drop is None and self.max_auc_drop is None:
            raise RecipeError(f"no limit is given; give one of {', '.join(COST_RANGES)}")
        check_ranges("compress.evaluate", self, COST_RANGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compress:
    """How tensors are compressed, and what ranking quality that may cost.

    One of `tensors`, `preset` and the budgets decides; with none of them, nothing is compressed.

    Attributes:
        tensors: a plan: tensor name, or a pattern with `*`, to a scheme's table; the first that
            fits decides.
        preset: `int8` or `int4` per row for every table and matrix, or `smallest-neutral`, which
            searches for the smallest plan within half a per cent of NDCG, or 0.0005 of AUC.
        max_size_mb: search: each target's files, in 10^6 bytes: one number, or a table of targets to numbers,
            where a target that it leaves out has no limit; what is found is gated on them.
        max_ratio: search: the compressed weights, as a share of float32's.
        max_ndcg_drop: largest loss of NDCG@k that compression may cost.
        max_auc_drop: largest loss of AUC that compression may cost.
        evaluate: what compression may cost one of several evaluations, by its name, in place of those above.
        min_top_k_overlap: lowest mean share of the k best that both lists hold.
        time_limit_s: search: after so many seconds the best plan so far is taken.
        data: search and activations: data of the same kind as `evaluate.data` to choose on, best a validation
            split; where it is left out, what is chosen is chosen on the data that it is then judged on.
        arguments: keyword arguments of `data`.
        activations: whether the inputs of dense layers are rounded to 8 bits: `static`, to ranges seen on
            `data` or else the evaluation data, or `dynamic`, to those of each call, which Core ML cannot.
        scales_from: the bundle of the release before, relative to the recipe: rows of linear tensors keep
            its scales, so that few codes change from one release to the next.
        out_of_range: what becomes of a row that leaves the range of its frozen scale: it is fitted anew
            (`widen`), or ends the build by name (`refuse`).
        scale_headroom: by what share fitted scales reach further than their numbers, as numbers may grow.
        float_layers: names, or patterns with `*`, of dense layers whose inputs are not rounded.
        rounding: of a preset, or of what a search finds: `distilled` tunes codes and scales of all tensors
            together, on the inputs of `data`, so that the outputs follow the original's. A search measures
            plans before they are tuned.
    """

    tensors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset: Literal["int8", "int4", "smallest-neutral"] | None = None
    max_size_mb: Limit | None = None
    max_ratio: float | None = None
    max_ndcg_drop: float | None = None
    max_auc_drop: float | None = None
    evaluate: Mapping[str, Cost] = field(default_factory=dict)
    min_top_k_overlap: float | None = None
    time_limit_s: float = 600.0
    data: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    activations: Literal["static", "dynamic"] | None = None
    float_layers: tuple[str, ...] = ()
    scales_from: str | None = None
    out_of_range: Literal["widen", "refuse"] = "widen"
    scale_headroom: float = 0.0
    rounding: Literal["distilled"] | None = None

    def __post_init__(self) -> None:
        if self.data is None and self.arguments:
            raise RecipeError("compress.arguments belong to compress.data; name the data, or leave both out")
        if self.tensors and (self.preset is not None or self.max_size_mb or self.max_ratio):
            raise RecipeError(
                "compress: tensors is a whole plan; leave out preset, max_size_mb and max_ratio, or tensors"
            )
        if self.preset in ("int8", "int4") and (self.max_size_mb or self.max_ratio):
            raise RecipeError(
                f"compress: preset {self.preset!r} is a whole plan; leave out max_size_mb and max_ratio"
            )
        if self.activations is not None and not self.active:
            raise RecipeError(
                f"compress: activations {self.activations!r} need weights in 8 bits; add "
                "preset = 'int8' or tensors"
            )
        if self.float_layers and self.activations is None:
            raise RecipeError("compress: float_layers goes with activations; give both or neither")
        if (self.scales_from is not None or self.scale_headroom) and not self.active:
            key = "scales_from" if self.scales_from is not None else "scale_headroom"
            raise RecipeError(
                f"compress.{key}: nothing is compressed; add a preset or tensors, or leave it out"
            )
        if self.rounding is not None and self.preset is None and not self.searches:
            raise RecipeError(
                "compress.rounding goes with a preset, or with a budget; in a plan each tensor has its own: "
                "{ scheme = 'linear', rounding = 'distilled' }"
            )
        tuned = [name for name, each in self.tensors.items() if each.get("rounding") == "distilled"]
        if self.scales_from is not None and (self.rounding is not None or tuned):
            key = f"tensors.{tuned[0]!r}" if tuned else "rounding"
            raise RecipeError(
                f"compress.{key}: distilled scales follow from the whole model, and none can be kept; "
                "leave out scales_from, or the rounding"
            )
        if self.scales_from is None and self.out_of_range != "widen":
            raise RecipeError("compress.out_of_range goes with scales_from; give both or neither")
        check_ranges("compress", self, COMPRESS_RANGES)

    def of(self, name: str) -> Compress:
        """The same with what an evaluation of that name may cost."""
        own = self.evaluate.get(name)
        stated = {key: getattr(own, key) for key in COST_RANGES if getattr(own, key, None) is not None}
        return replace(self, **stated)

    def size_limit(self, target: str) -> float | None:
        """The limit of a target's files, in 10^6 bytes; None where there is none."""
        return limit_of(self.max_size_mb, target)

    @property
    def active(self) -> bool:
        """Whether anything is to be compressed."""
        return bool(self.tensors) or self.preset is not None or self.searches

    @property
    def searches(self) -> bool:
        """Whether a plan has to be searched for."""
        budgets = (self.max_size_mb, self.max_ratio, self.max_ndcg_drop, self.max_auc_drop)
        budgeted = bool(self.evaluate) or any(each is not None for each in budgets)
        return self.preset == "smallest-neutral" or (not self.tensors and self.preset is None and budgeted)
