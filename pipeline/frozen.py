"""Scales from one release to the next: what a build takes over, keeps, and leaves to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pocketrec.errors import UsageError
from pocketrec.package.scales import Levels, Scales, read_scales
from pocketrec.pipeline.releases import release_at
from pocketrec.quantize import QuantizedTensor
from pocketrec.quantize.frozen import Frozen
from pocketrec.quantize.tensor import LinearTensor
from pocketrec.quantize.usage import Usage
from pocketrec.recipe import Compress


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a build takes over from the release before.

    Attributes:
        release: which that is, for people; empty where nothing is taken.
        tensors: scales by tensor.
        headroom: of scales that are fitted.
    """

    release: str = ""
    tensors: Mapping[str, Frozen] = field(default_factory=dict)
    headroom: float = 0.0

    def known(self, usage: Mapping[str, Usage], names: Mapping[str, object]) -> dict[str, Usage]:
        """What is known of tensors, with their frozen scales."""
        every = {**{name: Usage() for name in names}, **usage}
        return {
            name: replace(each, frozen=self.tensors.get(name), headroom=self.headroom)
            for name, each in every.items()
        }


def taken(compress: Compress, base: Path) -> Taken:
    """What the recipe asks to take over; paths are relative to `base`.

    Raises:
        UsageError: there is no bundle, or it holds no scales.
        ArtifactError: it is damaged.
    """
    if compress.scales_from is None:
        return Taken(headroom=compress.scale_headroom)
    bundle = release_at(base / compress.scales_from)
    found = read_scales(bundle)
    if not found:
        raise UsageError(
            f"compress.scales_from: {bundle.path} holds no scales; name a bundle with linear tensors, built "
            "by this version of pocketrec or a later one"
        )
    manifest = bundle.manifest
    return Taken(
        release=f"{manifest.name} {manifest.version} (tree {manifest.tree_sha256[:12]})",
        tensors={name: _frozen(each, compress) for name, each in found.items()},
        headroom=compress.scale_headroom,
    )


def _frozen(scales: Scales, compress: Compress) -> Frozen:
    return Frozen(
        bits=scales.levels.bits,
        granularity=scales.levels.granularity,
        block_size=scales.levels.block_size,
        scales=scales.scales,
        zero_points=scales.zero_points,
        outside=compress.out_of_range,
    )


def kept_notes(taken: Taken, codes: Mapping[str, QuantizedTensor]) -> tuple[str, ...]:
    """What evidence says of the scales that were taken over: how many were kept, and which were not."""
    if not taken.release:
        return ()
    rows = kept = 0
    others = []
    for name, each in codes.items():
        frozen = taken.tensors.get(name)
        if frozen is None or not isinstance(each, LinearTensor) or not _fit(frozen, each):
            others.append(f"{name} all ({_why_not(frozen, each)})")
            continue
        count, more = frozen.kept(each), max(0, len(each.scales) - len(frozen.scales))
        rows, kept, anew = rows + len(each.scales), kept + count, len(each.scales) - count - more
        found = [f"{anew} anew"] * bool(anew) + [f"{more} new"] * bool(more)
        others += [f"{name} {' and '.join(found)}"] if found else []
    others += [f"{name} gone" for name in sorted(taken.tensors.keys() - codes.keys())]
    return (f"Scales of {taken.release}: {kept} of {rows} kept; fitted: {', '.join(others) or 'none'}.",)


def _fit(frozen: Frozen, tensor: LinearTensor) -> bool:
    own = Frozen.of(tensor)
    same = frozen.fits(own.bits, own.granularity, own.block_size, symmetric=own.zero_points is None)
    return same and isinstance(tensor.scales, np.ndarray)


def _why_not(frozen: Frozen | None, tensor: QuantizedTensor) -> str:
    """Why a tensor keeps no scale."""
    if not isinstance(tensor, LinearTensor):
        return f"{tensor.scheme} has no scales to keep"
    if not isinstance(tensor.scales, np.ndarray):
        return "streamed from disk"
    return "none there" if frozen is None else f"{frozen.bits} bits {frozen.granularity} there"


def scales_of(codes: Mapping[str, QuantizedTensor]) -> dict[str, Scales]:
    """The scales that a bundle leaves to the next; those of a table that was streamed are left out."""
    return {
        name: Scales(
            levels=Levels(bits=each.bits, granularity=each.granularity, block_size=each.block_size),
            scales=each.scales,
            zero_points=each.zero_points,
        )
        for name, each in codes.items()
        if isinstance(each, LinearTensor) and isinstance(each.scales, np.ndarray)
    }
