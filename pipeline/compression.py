"""What a recipe asks of compression: a plan that it states, and gates on what the plan costs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from pocketrec.errors import PlanError
from pocketrec.recipe import Compress, Gates, Target
from pocketrec.report import COMPRESSED, GateResult, RankingParity

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.quantize import Plan
    from pocketrec.quantize.usage import Usages

Status = Literal["passed", "failed", "skipped"]

_FLOORS = {"auc": 0.5}  # what a metric is where nothing is told apart, where that is not 0
_LARGE_CONSTANT = 2048  # numbers; of fewer nobody asks why they were not compressed
# Half a per cent of NDCG is below what evaluation resolves; AUC has the same meaning at 0.0005.
NEUTRAL_NDCG_LOSS, NEUTRAL_AUC_LOSS = 0.005, 0.0005


def explicit_plan(
    compress: Compress, module: nn.Module, read: Collection[str], usage: Usages | None = None
) -> Plan:
    """The plan that the recipe states, in words or by a preset that needs no search.

    Args:
        compress: as in the recipe.
        module: the original.
        read: names of the tensors that some function reads; presets plan no others.
        usage: what calibration knows of the tensors; presets round with error feedback where it can.
    """
    from pocketrec.quantize import plan_from_table
    from pocketrec.quantize.presets import preset_plan
    from pocketrec.quantize.reference import compressible

    if compress.preset is None:
        return plan_from_table(compress.tensors)
    shapes = {name: tuple(each.shape) for name, each in compressible(module).items() if name in read}
    plan = preset_plan(compress.preset, shapes, usage or {}, compress.rounding)
    if not plan.tensors:
        raise PlanError(
            f"compress: preset {compress.preset!r} finds no float32 table or matrix that a function reads as "
            "it is, so nothing would be compressed; leave compress out, or keep what is read in a buffer"
        )
    return plan


def check_gathered_names(targets: Mapping[str, Target], codes: Collection[str]) -> None:
    """Checks that every pattern of a target's gather_codes fits a compressed tensor; else PlanError."""
    for target, each in targets.items():
        for pattern in each.gather_codes:
            if not any(fnmatchcase(name, pattern) for name in codes):
                known = ", ".join(list(codes)[:8]) or "none"
                raise PlanError(
                    f"targets.{target}.gather_codes: {pattern!r} fits no compressed tensor; there are {known}"
                )


def limits(compress: Compress, reference: Mapping[str, float]) -> dict[str, float]:
    """The largest loss of each metric, by its name, that compression may cost; as stated, or neutral.

    None where the recipe states a size and no loss: then loss is what is minimized, and not gated.
    """
    sized = compress.max_size_mb is not None or compress.max_ratio is not None
    stated = (compress.max_ndcg_drop, compress.max_auc_drop)
    lossy = bool(compress.evaluate) or any(each is not None for each in stated)
    if sized and not lossy and compress.preset is None:
        return {}
    found = {}
    for name, value in reference.items():
        if name.startswith("ndcg@"):
            neutral = NEUTRAL_NDCG_LOSS * value
            found[name] = neutral if compress.max_ndcg_drop is None else compress.max_ndcg_drop
        if name == "auc":
            found[name] = NEUTRAL_AUC_LOSS if compress.max_auc_drop is None else compress.max_auc_drop
    return found


def check_loss(compress: Compress, ranking: RankingParity) -> tuple[GateResult, ...]:
    """The gates on what compression cost: the compressed reference against the original.

    They are on the cost itself, as the search's are, which compares many plans; what the interval leaves open
    is said.
    """
    from pocketrec.validate.quality_gates import likely

    found: list[tuple[str, Status, str]] = []
    changes = {each.metric: each for each in ranking.changes}
    for name, limit in limits(compress, ranking.reference).items():
        before, after = ranking.reference[name], ranking.artifact.get(name, float("nan"))
        message = f"{after:.5f} compressed, {before:.5f} before; limit: at most {limit:.5f} less"
        if name in changes:
            message += likely(changes[name], limit)
        passed = before - after <= limit
        if before > 0 and limit >= before - _FLOORS.get(name, 0.0):
            passed, message = False, f"{message}; it cannot fail: a model that recommends nothing would pass"
        found.append((f"compression loss: {name}{ranking.of}", _status(passed), message))
    found += _unlimited(compress, ranking)
    lists = any("@" in name for name in ranking.reference)
    if compress.min_top_k_overlap is not None and lists:
        overlap = float("nan") if ranking.top_k_overlap is None else ranking.top_k_overlap
        message = f"top-k overlap {overlap:.4f}, limit at least {compress.min_top_k_overlap:g}"
        passed = overlap >= compress.min_top_k_overlap
        found.append((f"compression loss: top-k overlap{ranking.of}", _status(passed), message))
    return _results(found)


def _unlimited(compress: Compress, ranking: RankingParity) -> list[tuple[str, Status, str]]:
    """What compression cost where the recipe states a size alone, so that no gate is on it."""
    if limits(compress, ranking.reference):
        return []
    return [
        (
            f"compression loss: {name}{ranking.of}",
            "skipped",
            f"{ranking.artifact.get(name, math.nan):.5f} compressed, {before:.5f} before; no limit is stated",
        )
        for name, before in ranking.reference.items()
        if name.startswith("ndcg@") or name == "auc"
    ]


def check_cost(gates: Gates, ranking: RankingParity) -> tuple[GateResult, ...]:
    """The gates on the interval of what compression cost, of all examples and of slices."""
    from pocketrec.validate.quality_gates import compression_verdicts

    verdicts = compression_verdicts(gates, ranking)
    return _results([(f"compression loss: {gate}", status, message) for gate, status, message in verdicts])


def _status(passed: bool) -> Status:
    return "passed" if passed else "failed"


def _results(found: Sequence[tuple[str, Status, str]]) -> tuple[GateResult, ...]:
    return tuple(
        GateResult(gate=gate, target=COMPRESSED, runtime="pytorch", status=status, message=message)
        for gate, status, message in found
    )
